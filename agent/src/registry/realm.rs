//! What a registry asks of us (RFC 9110, section 11.6.1; the token flow is the distribution project's "token" spec).

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use url::Url;

pub(super) use crate::transfer::authority;

/// Token servers that belong to a registry though their hosts differ.
const KNOWN_REALMS: [(&str, &str); 2] =
    [("registry-1.docker.io", "auth.docker.io"), ("registry.gitlab.com", "gitlab.com")];

/// How a registry wants to be shown who we are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A name and a password in each request.
    Basic,
    /// A token of a token server.
    Bearer {
        /// The token server's address.
        realm: String,
        /// Its name for the registry.
        service: Option<String>,
        /// The rights that the registry wants to see.
        scope: Option<String>,
    },
}

/// The challenge that we answer: Bearer before Basic, `None` when there is neither.
pub(super) fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let mut basic = None;
    for text in headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()) {
        for challenge in http_auth::ChallengeParser::new(text).map_while(Result::ok) {
            let parameter = |name: &str| {
                let mut all = challenge.params.iter();
                all.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("bearer") {
                if let Some(realm) = parameter("realm") {
                    return Some(Challenge::Bearer { realm, service: parameter("service"), scope: parameter("scope") });
                }
            } else if challenge.scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            }
        }
    }
    basic
}

/// The realm as an address that may be asked: https, or plain HTTP where the registry itself is reached so.
pub(super) fn address(realm: &str, registry: &Url) -> Option<Url> {
    let mut url = Url::parse(realm).ok()?;
    let spoken = url.scheme() == "https" || (url.scheme() == "http" && registry.scheme() == "http");
    url.host_str().filter(|_| spoken)?;
    url.set_fragment(None);
    // User information would become an Authorization header of the registry's making.
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(url)
}

/// Whether credentials for `registry` may be sent to `realm`: it has the registry's origin; or the same host name under
/// https, where the certificate speaks for the name on any port; or it is known to belong to the registry; or the
/// settings allow it.
pub(super) fn may_have_credentials(registry: &Url, realm: &Url, allowed: &[String]) -> bool {
    let (Some(registry_host), Some(realm_host)) = (registry.host_str(), realm.host_str()) else { return false };
    let secure = realm.scheme() == "https";
    registry.origin() == realm.origin()
        || (secure && registry_host == realm_host)
        || (secure && realm.port().is_none() && KNOWN_REALMS.contains(&(registry_host, realm_host)))
        || allowed.iter().any(|host| host.eq_ignore_ascii_case(&authority(realm)))
}

/// The scope to ask for. One that names a repository is always our own, so that no registry makes us ask for more rights
/// than we need; others, as some registries have, are taken from the challenge.
pub(super) fn scope(challenge: Option<&str>, own: &str) -> String {
    match challenge {
        Some(theirs) if !theirs.is_empty() && !theirs.split_whitespace().any(|part| part.contains(':')) => {
            theirs.to_owned()
        }
        _ => own.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenges(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        challenge(&headers)
    }

    #[test]
    fn challenges_that_are_understood() {
        let bearer = Challenge::Bearer {
            realm: "https://auth.example/token".into(),
            service: Some("r.example".into()),
            scope: Some("repository:a/b:pull,push".into()),
        };
        let text = r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push""#;
        assert_eq!(challenges(&[text]).unwrap(), bearer);
        assert_eq!(challenges(&["Basic realm=\"x\"", &text.replace("Bearer", "bearer")]).unwrap(), bearer);
        assert_eq!(challenges(&["basic realm=x"]), Some(Challenge::Basic));
        for other in [&["Negotiate"][..], &["Bearer service=\"x\""], &["Bearer realm="], &["\"", ",,,"], &[]] {
            assert_eq!(challenges(other), None, "{other:?}");
        }
    }

    #[test]
    fn realms_that_may_be_asked() {
        let tls = Url::parse("https://r.example/v2/").unwrap();
        let plain = Url::parse("http://r.example/v2/").unwrap();
        assert!(address("https://auth.example/token", &tls).is_some());
        assert!(address("http://auth.example/token", &tls).is_none());
        assert!(address("http://auth.example/token", &plain).is_some());
        for bad in ["", "token", "/token", "ftp://auth.example/", "file:///etc/passwd", "https://"] {
            assert!(address(bad, &plain).is_none(), "{bad}");
        }
        assert_eq!(address("https://u:p@auth.example/#f", &tls).unwrap().as_str(), "https://auth.example/");
    }

    #[test]
    fn realms_that_may_have_credentials() {
        let allowed = ["auth.example".to_owned(), "auth.example:8443".to_owned()];
        for (registry, realm, may) in [
            ("https://r.example/", "https://r.example/token", true),
            ("https://r.example:5050/", "https://r.example/jwt/auth", true),
            ("http://r.example:5000/", "http://r.example:5000/token", true),
            ("http://r.example:5000/", "http://r.example:5001/token", false),
            ("https://r.example/", "https://sub.r.example/token", false),
            ("https://r.example/", "https://r.example.evil.example/token", false),
            ("https://r.example/", "https://auth.example/token", true),
            ("https://r.example/", "https://auth.example:8443/token", true),
            ("https://r.example/", "https://auth.example:9443/token", false),
            ("https://registry-1.docker.io/", "https://auth.docker.io/token", true),
            ("https://r.example/", "https://auth.docker.io/token", false),
            ("https://registry.gitlab.com/", "https://gitlab.com/jwt/auth", true),
        ] {
            let answer = may_have_credentials(&registry.parse().unwrap(), &realm.parse().unwrap(), &allowed);
            assert_eq!(answer, may, "{registry} {realm}");
        }
    }

    #[test]
    fn scopes() {
        let own = "repository:a/b:pull";
        assert_eq!(scope(Some("repository:c/d:push"), own), own);
        assert_eq!(scope(Some("aws"), own), "aws");
        assert_eq!(scope(Some("aws registry:catalog:*"), own), own);
        assert_eq!(scope(None, own), own);
    }

    proptest::proptest! {
        #[test]
        fn no_challenge_panics(text in "(Bearer|Basic|[a-z]{0,3}) {0,2}((realm|scope|,|=|\"|\\\\| |[a-z:/]){0,12})") {
            if let Some(Challenge::Bearer { realm, .. }) = challenges_of(&text) {
                let _any_answer_will_do = address(&realm, &Url::parse("https://r.example/").unwrap());
            }
        }
    }

    fn challenges_of(text: &str) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, text.parse().ok()?);
        challenge(&headers)
    }
}
