//! Where a redirect may lead us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::header::LOCATION;
use reqwest::{Response, StatusCode};
use url::{Host, Url};

/// How many redirects are followed in one exchange.
pub const REDIRECTS: usize = 3;

/// Why a redirect is not followed. The host is the one that it leads to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// No address, or one that is no URL.
    #[error("a redirect leads nowhere")]
    Nowhere,
    /// Neither https nor, where plain HTTP is allowed, http.
    #[error("a redirect leads to {host} by way of {scheme}")]
    Scheme {
        /// The host.
        host: String,
        /// The URL's scheme.
        scheme: String,
    },
    /// From a public host to an address inside a private network.
    #[error("a redirect leads to {host}, which is a private address")]
    Private {
        /// The host.
        host: String,
    },
    /// More than [`REDIRECTS`] of them.
    #[error("there are more than {REDIRECTS} redirects")]
    TooMany,
}

/// Whether `status` sends us elsewhere with the same method, or with GET.
#[must_use]
pub const fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// Where `response`, the answer of `from`, sends us. Only https is followed, and http where `plain_http` says so. A host
/// with a public address may not send us to a private one (loopback, link-local, RFC 1918 and the like): what answers
/// there may trust its network. A fragment and user information in the target are dropped.
///
/// # Errors
/// [`RedirectError`] when the redirect is not to be followed.
pub async fn redirect_target(from: &Url, response: &Response, plain_http: bool) -> Result<Url, RedirectError> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let mut target = location.and_then(|text| from.join(text).ok()).ok_or(RedirectError::Nowhere)?;
    target.set_fragment(None);
    let host = target.host_str().ok_or(RedirectError::Nowhere)?.to_owned();
    if !(target.scheme() == "https" || (plain_http && target.scheme() == "http")) {
        return Err(RedirectError::Scheme { host, scheme: target.scheme().to_owned() });
    }
    if target.host() != from.host() {
        // Both setters fail only for URLs without a host.
        let _has_a_host = target.set_username("").and_then(|()| target.set_password(None));
        if leads_inside(from, &target).await {
            return Err(RedirectError::Private { host });
        }
    }
    Ok(target)
}

/// Whether `from` has a public address and `target`, named by it, a private one.
pub async fn leads_inside(from: &Url, target: &Url) -> bool {
    is_private(target).await && !is_private(from).await
}

/// Whether two URLs have the same scheme, host and port.
#[must_use]
pub fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// Whether the URL's host is, or resolves to, a private address. A name that cannot be resolved here is not held to be
/// private: behind a proxy that is the normal state, and without one the request will fail by itself.
async fn is_private(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_private_address(address.into()),
        Some(Host::Ipv6(address)) => is_private_address(address.into()),
        Some(Host::Domain(name)) => {
            let port = url.port_or_known_default().unwrap_or_default();
            let addresses = tokio::net::lookup_host((name, port)).await;
            addresses.is_ok_and(|mut found| found.any(|address| is_private_address(address.ip())))
        }
        None => false,
    }
}

fn is_private_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(embedded) => is_private_v4(embedded),
            None => {
                address.is_loopback()
                    || address.is_unspecified()
                    || address.is_unique_local()
                    || address.is_unicast_link_local()
                    || address.is_multicast()
            }
        },
    }
}

/// The registry of special addresses is RFC 6890's.
fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || first == 0
        || (first == 100 && second & 0xc0 == 64)
}

/// The IPv4 address inside a mapped (`::ffff:0:0/96`) or translated (`64:ff9b::/96`) one.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [first, second, 0, 0, 0, 0, high, low] = address.segments() else {
        return address.to_ipv4_mapped();
    };
    let ([high, upper], [lower, lowest]) = (high.to_be_bytes(), low.to_be_bytes());
    ((first, second) == (0x64, 0xff9b)).then(|| Ipv4Addr::new(high, upper, lower, lowest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_public_addresses() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "100.127.255.255",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
        ] {
            assert!(is_private_address(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1", "::ffff:1.1.1.1", "64:ff9b::101:101"] {
            assert!(!is_private_address(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn origins_are_scheme_host_and_port() {
        let same = |one: &str, other: &str| same_origin(&one.parse().unwrap(), &other.parse().unwrap());
        assert!(same("https://a.example/x", "https://a.example:443/y?z"));
        assert!(!same("https://a.example/", "http://a.example/"));
        assert!(!same("https://a.example/", "https://a.example:8443/"));
        assert!(!same("https://a.example/", "https://b.example/"));
    }
}
