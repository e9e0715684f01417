//! How a webhook proves that it comes from somebody who knows the secret.
//!
//! GitHub: "Validating webhook deliveries"; Gitea: "Webhooks", `X-Gitea-Signature`; GitLab: "Webhooks", secret token.

use std::fmt;

use hyper::header::HeaderMap;
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

/// Whose webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `X-Hub-Signature-256: sha256=` and an HMAC-SHA256 of the body.
    Github,
    /// `X-Gitlab-Token` and the secret itself.
    Gitlab,
    /// `X-Gitea-Signature` and an HMAC-SHA256 of the body.
    Gitea,
}

/// What a webhook must know.
pub(super) struct Proof {
    kind: Kind,
    key: hmac::Key,
    /// The HMAC of the secret by itself: texts of any length are compared as their HMACs.
    secret: hmac::Tag,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A proof whose body is being read.
pub(super) struct Check {
    /// The HMAC of what has been read.
    context: hmac::Context,
    /// The HMAC that was given; `None` where the head alone has proven it.
    given: Option<[u8; 32]>,
}

impl Proof {
    pub(super) fn new(kind: Kind, secret: &SecretString) -> Self {
        let bytes = secret.expose_secret().as_bytes();
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let secret = hmac::sign(&key, bytes);
        Self { kind, key, secret }
    }

    /// Begins to check a request with this head; `None` when the head alone shows that it proves nothing.
    pub(super) fn begin(&self, head: &HeaderMap) -> Option<Check> {
        let context = hmac::Context::with_key(&self.key);
        let only = |name| {
            let mut values = head.get_all(name).iter();
            // Of two, nobody knows which one a proxy has looked at.
            values.next().filter(|_| values.next().is_none())?.to_str().ok()
        };
        let given = match self.kind {
            Kind::Github => Some(hex(only("x-hub-signature-256")?.strip_prefix("sha256=")?)?),
            Kind::Gitea => Some(hex(only("x-gitea-signature")?)?),
            Kind::Gitlab => {
                let token = hmac::sign(&self.key, only("x-gitlab-token")?.as_bytes());
                if !bool::from(token.as_ref().ct_eq(self.secret.as_ref())) {
                    return None;
                }
                None
            }
        };
        Some(Check { context, given })
    }
}

impl Check {
    pub(super) fn update(&mut self, piece: &[u8]) {
        if self.given.is_some() {
            self.context.update(piece);
        }
    }

    pub(super) fn is_proven(self) -> bool {
        let Some(given) = self.given else { return true };
        self.context.sign().as_ref().ct_eq(&given).into()
    }
}

/// The bytes that 64 hexadecimal digits stand for.
fn hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's documentation.
    const SECRET: &str = "It's a Secret to Everybody";
    const HMAC: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn proves(kind: Kind, heads: &[(&'static str, &str)], body: &[u8]) -> bool {
        let proof = Proof::new(kind, &SecretString::from(SECRET));
        let mut map = HeaderMap::new();
        for (name, value) in heads {
            map.append(*name, value.parse().unwrap());
        }
        proof.begin(&map).is_some_and(|mut check| {
            body.chunks(3).for_each(|piece| check.update(piece));
            check.is_proven()
        })
    }

    #[test]
    fn who_knows_the_secret() {
        let github = format!("sha256={HMAC}");
        let (hub, gitea, gitlab) = ("x-hub-signature-256", "x-gitea-signature", "x-gitlab-token");
        let hello = b"Hello, World!";
        assert!(proves(Kind::Github, &[(hub, &github)], hello));
        assert!(proves(Kind::Gitea, &[(gitea, HMAC)], hello));
        assert!(proves(Kind::Gitlab, &[(gitlab, SECRET)], b"anything"));
        for (kind, heads, body) in [
            (Kind::Github, &[][..], &hello[..]),
            (Kind::Github, &[(hub, github.as_str())], b"Hello, World?"),
            (Kind::Github, &[(hub, HMAC)], hello),
            (Kind::Github, &[(hub, &github), (hub, &github)], hello),
            (Kind::Github, &[(hub, &github[..70])], hello),
            (Kind::Github, &[("x-hub-signature", &github)], hello),
            (Kind::Github, &[(hub, &github.replace("75", "+5"))], hello),
            (Kind::Gitea, &[(gitea, &github)], hello),
            (Kind::Gitea, &[(hub, &github)], hello),
            (Kind::Gitlab, &[(gitlab, "It's a Secret to Everybod")], hello),
            (Kind::Gitlab, &[(gitlab, "")], hello),
            (Kind::Gitlab, &[(gitea, HMAC)], hello),
        ] {
            assert!(!proves(kind, heads, body), "{kind:?} {heads:?}");
        }
    }
}
