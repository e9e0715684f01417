//! A health page that does not answer: for a moment, or for good.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use falconer::falco::{NotConfirmed, confirm, reload};
use falconer_manifests::outcome::Evidence;
use tokio::sync::Notify;

use super::*;

/// Stands between a Falco and whoever asks it, and lets the first `lost` questions for its health go unanswered; gives its port.
fn between(falco: u16, lost: usize) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // Ends with the test's process.
    std::thread::spawn(move || {
        let mut left = lost;
        for mut asking in listener.incoming().map_while(Result::ok) {
            let mut question = [0; 2048];
            let length = asking.read(&mut question).unwrap_or(0);
            if question.starts_with(b"GET /healthz") && left > 0 {
                left -= 1;
                continue;
            }
            let Ok(mut falco) = TcpStream::connect(("127.0.0.1", falco)) else { continue };
            let mut answer = Vec::new();
            let told = falco.write_all(&question[..length]).and_then(|()| {
                falco.shutdown(std::net::Shutdown::Write)?;
                falco.read_to_end(&mut answer)
            });
            let _nobody_waits = told.and_then(|_| asking.write_all(&answer));
        }
    });
    port
}

#[tokio::test]
async fn silence_counts_only_when_it_lasts() {
    for (lost, is_well) in [(3, true), (usize::MAX, false)] {
        let host = Host::new(true);
        let (stand_in, mut settings) = host.start(&[], &[]);
        let port = between(stand_in.port(), lost);
        settings.http = Some(format!("http://127.0.0.1:{port}").parse().unwrap());
        let expected = host.write_rules("- list: l\n  items: [1]\n", "10-a.yaml");
        let reloading = reload(&settings, &found(&settings, &stand_in)).await.unwrap();
        let ended =
            confirm(&settings, reloading, &expected, Duration::ZERO, Duration::from_secs(2), &Notify::new()).await;
        match is_well {
            true => assert_eq!(ended.unwrap().evidence, Evidence::Sha256),
            false => assert!(matches!(ended.unwrap_err(), NotConfirmed::Unhealthy { .. })),
        }
    }
}
