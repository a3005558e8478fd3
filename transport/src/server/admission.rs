//! Who may connect: decided from headers and peer credentials alone.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use ropewalk_protocol::{Code, Rejection};

/// Where a connection came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Peer {
    /// The Unix socket; the user at the other end is ours.
    Local,
    /// Loopback TCP: any program of any user of this machine, so a token is asked for.
    Loopback,
    /// A connection that did not come from a listener, and was admitted by whoever handed it over.
    Handed(String),
}

impl Peer {
    /// Whether the way it came already proves who it is.
    pub(super) fn is_trusted(&self) -> bool {
        match self {
            Peer::Local | Peer::Handed(_) => true,
            Peer::Loopback => false,
        }
    }
}

/// Refuses names that are not this machine's loopback: a page whose name was rebound to 127.0.0.1 sends its own.
///
/// # Errors
/// `forbidden_host`.
pub(super) fn admit_host(headers: &HeaderMap) -> Result<(), Rejection> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(host) = host else {
        return Err(Rejection::new(Code::ForbiddenHost, "the request has no Host header"));
    };
    if is_loopback(host) {
        return Ok(());
    }
    Err(Rejection::new(Code::ForbiddenHost, format!("{:?} is not this machine's loopback", shown(host))))
}

/// Refuses web pages: programs send no Origin, and no page is ours. `null` is a page too, one that hides its name.
///
/// # Errors
/// `forbidden_origin`.
pub(super) fn admit_origin(headers: &HeaderMap) -> Result<(), Rejection> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or("(not text)");
    Err(Rejection::new(Code::ForbiddenOrigin, format!("the page {:?} may not connect", shown(origin))))
}

/// The bearer token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(value: &str) -> Result<(), Code> {
        let headers = HeaderMap::from_iter([(HOST, value.parse().unwrap())]);
        admit_host(&headers).map_err(|rejection| rejection.code)
    }

    #[test]
    fn loopback_names_are_admitted() {
        for name in ["127.0.0.1", "127.0.0.1:7717", "localhost:7717", "localhost", "[::1]:7717", "127.3.2.1:1"] {
            assert_eq!(host(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn rebound_and_look_alike_names_are_refused() {
        for name in
            ["evil.example", "127.evil.com", "127.0.0.1.evil.com:7717", "localhost.evil.com", "0.0.0.0", "10.0.0.1"]
        {
            assert_eq!(host(name), Err(Code::ForbiddenHost), "{name}");
        }
        assert!(admit_host(&HeaderMap::new()).is_err());
    }

    #[test]
    fn every_page_is_refused() {
        for origin in ["null", "http://evil.example", "http://127.0.0.1:7717", "file://"] {
            let headers = HeaderMap::from_iter([(ORIGIN, origin.parse().unwrap())]);
            assert_eq!(admit_origin(&headers).unwrap_err().code, Code::ForbiddenOrigin, "{origin}");
        }
        assert!(admit_origin(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn a_token_is_read_from_the_authorization_header_only() {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, "Bearer abc".parse().unwrap())]);
        assert_eq!(bearer(&headers), Some("abc"));
        let headers = HeaderMap::from_iter([(AUTHORIZATION, "Basic abc".parse().unwrap())]);
        assert_eq!(bearer(&headers), None);
    }
}
