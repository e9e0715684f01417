//! Many hosts at once, each with its own reference.

use std::path::Path;
use std::time::Instant;

use falconer::git::{Access, Expected, Remote, RemoteUrl, Report};
use falconer::transfer;
use falconer_manifests::host_lock;
use falconer_manifests::name::HostName;

use super::*;

/// As many as a test on two processors can wait for; `make bench` has 256.
const HOSTS: usize = 24;

#[test]
fn all_land_at_the_first_try() {
    let (host, reports) = reporting("unused", "");
    let server = GitServer::start(&host.path("srv")).unwrap();
    let url = RemoteUrl::parse(&server.url("reports.git"), Path::new("/")).unwrap();
    let client = transfer::client().unwrap();
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pushes = (0..HOSTS).map(|number| {
            let name = HostName::parse(&format!("web-{number}")).unwrap();
            let (url, client) = (url.clone(), client.clone());
            async move {
                let mut remote = Remote::new(&url, Access::default(), client).unwrap();
                let files = [(host_lock::path(), format!("{name}\n").into_bytes())];
                let report = Report {
                    reference: &host_lock::reference(&name),
                    files: &files,
                    message: "a report\n",
                    author: name.as_str(),
                    email: "falconer@host",
                    time: 1,
                    expected: Expected::Absent,
                    signing_key: None,
                };
                assert!(remote.push_report(&report).await.unwrap().changed);
            }
        });
        futures_util::future::join_all(pushes).await;
    });
    let references = reports.git(&["for-each-ref", "--format=%(refname)"]).unwrap();
    assert_eq!(references.lines().count(), HOSTS, "after {:?}", begun.elapsed());
    // A list of references and the push: nobody had to try twice.
    assert_eq!(server.exchanges().len(), 2 * HOSTS);
}
