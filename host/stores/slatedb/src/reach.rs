//! Why a server was not reached: nobody answers, or not as TLS, or TLS is missing.

use object_store::client::{HttpError, HttpErrorKind};
use reqwest::Url;
use std::error::Error;
use std::io;

/// Says that a client was told to send nothing unencrypted, and has an address that is.
const REFUSED_SCHEME: &str = "URL scheme is not allowed";

/// What is between this machine and a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distance {
    /// Nobody answers at the endpoint.
    Unreachable,
    /// Whoever answers speaks no TLS, or has a certificate that is not trusted.
    Tls,
    /// The endpoint is not encrypted, and must be.
    Unencrypted,
}

/// Returns what kept a request from its server, if that is why it failed.
pub(crate) fn distance(error: &(dyn Error + 'static)) -> Option<Distance> {
    if error.is::<rustls::Error>() {
        return Some(Distance::Tls);
    }
    if error.to_string().contains(REFUSED_SCHEME) {
        return Some(Distance::Unencrypted);
    }
    within(error).and_then(distance).or_else(|| {
        let kind = error.downcast_ref::<HttpError>()?.kind();
        matches!(kind, HttpErrorKind::Connect).then_some(Distance::Unreachable)
    })
}

/// Returns the server that an error names, and the error that all the others come from.
pub(crate) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut first = error;
    while let Some(inner) = within(first) {
        first = inner;
    }
    let text = error.to_string();
    let server = text.split_whitespace().filter_map(|word| Url::parse(word).ok()).find(Url::has_host);
    match server {
        Some(server) => format!("{}: {first}", server.origin().ascii_serialization()),
        None => first.to_string(),
    }
}

/// Returns the error that an error has within.
fn within<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    // What an error of I/O wraps is not its source.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Request(io::Error);

    impl std::fmt::Display for Request {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("GET https://user@host:9000/bucket/key?sig=hunter2 failed")
        }
    }

    impl Error for Request {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn tls_is_found_within_errors_of_io_and_the_cause_names_the_server_alone() {
        let tls = || rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let error = Request(io::Error::other(io::Error::other(tls())));
        assert_eq!(distance(&error), Some(Distance::Tls));
        assert_eq!(cause(&error), format!("https://host:9000: {}", tls()));
        let other = Request(io::Error::other("full"));
        assert_eq!((distance(&other), cause(&other)), (None, "https://host:9000: full".to_owned()));
    }
}
