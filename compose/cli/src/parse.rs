//! Values of arguments that several commands take.

use std::path::PathBuf;
use std::time::Duration;

pub(crate) fn parse_directory(text: &str) -> Result<(PathBuf, String), String> {
    match text.split_once("::") {
        Some((host, guest)) if !host.is_empty() && !guest.is_empty() => Ok((host.into(), guest.to_owned())),
        _ => Err("it must have the form HOST-DIR::GUEST-DIR".into()),
    }
}

pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let time = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text).map_err(|_| {
            "it must be a number of seconds, or numbers with units, such as 500ms, 30s or 5m".to_owned()
        })?,
    };
    if time.is_zero() { Err("it must be more than zero".into()) } else { Ok(time) }
}
