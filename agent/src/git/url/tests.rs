use secrecy::ExposeSecret;

use super::*;

fn parse(text: &str) -> Result<RemoteUrl, GitError> {
    RemoteUrl::parse(text, Path::new("/etc/falconer"))
}

#[test]
fn forms_that_are_taken() {
    for (text, shown) in [
        ("https://git.example/fleet.git", "https://git.example/fleet.git"),
        ("https://git.example/fleet/", "https://git.example/fleet"),
        ("https://bot:s3cret@git.example:8443/fleet.git", "https://git.example:8443/fleet.git"),
        ("http://127.0.0.1:3000/a", "http://127.0.0.1:3000/a"),
        ("ssh://git@git.example:2222/srv/fleet.git", "ssh://git.example:2222/srv/fleet.git"),
        ("ssh://git@[::1]:2222/srv/fleet.git", "ssh://[::1]:2222/srv/fleet.git"),
        ("git@git.example:acme/fleet.git", "ssh://git.example/acme/fleet.git"),
        ("git.example:acme/fleet.git", "ssh://git.example/acme/fleet.git"),
        ("file:///srv/a%20b.git", "/srv/a b.git"),
        ("/srv/fleet.git", "/srv/fleet.git"),
        ("../fleet", "/etc/falconer/../fleet"),
        ("./a:b", "/etc/falconer/./a:b"),
    ] {
        assert_eq!(parse(text).unwrap().to_string(), shown, "{text}");
    }
}

#[test]
fn forms_that_are_refused() {
    for text in [
        "",
        "-oProxyCommand=x:y",
        "ssh://-oProxyCommand=x/y",
        "ssh://-l@host/y",
        "ssh://host",
        "ssh://user:pw@host/y",
        "ssh://ho%20st/y",
        "host:-x",
        "-u@host:x",
        "a b:c",
        "ext::sh -c id",
        "git://host/x",
        "https://",
        "https://host/x?service=y",
        "https://us%zzer@host/",
        "https://host/\n",
        "file://host/x",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn userinfo_is_taken_and_hidden() {
    let url = parse("https://bot%40acme:s3%2Fcret@git.example/x").unwrap();
    let Place::Http { userinfo: Some((user, password)), .. } = &url.place else { panic!("no userinfo") };
    assert_eq!((user.as_str(), password.expose_secret()), ("bot@acme", "s3/cret"));
    assert!(!format!("{url} {url:?}").contains("s3"));
    let error = parse("https://bot:s3cret@git.example/x?y").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

#[test]
fn plain_http_is_told_apart() {
    for (text, plain) in [
        ("http://127.0.0.1/x", false),
        ("http://localhost:3000/x", false),
        ("http://[::1]/x", false),
        ("http://git.example/x", true),
        ("http://127.0.0.1.example/x", true),
        ("https://git.example/x", false),
    ] {
        assert_eq!(parse(text).unwrap().is_plain(), plain, "{text}");
    }
}

#[test]
fn home_directories_are_relative() {
    let Place::Ssh { path, .. } = parse("ssh://host/~git/fleet").unwrap().place else { panic!("not ssh") };
    assert_eq!(path, "~git/fleet");
}
