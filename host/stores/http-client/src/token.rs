//! The token: from a file that nobody else may read, or from the environment.

use std::path::Path;

use kvfs_contract::Secret;

use crate::error::OpenError;
use crate::url::{Config, Token};

impl Config {
    /// Returns the token.
    ///
    /// # Errors
    /// There is none, it cannot be read, others may read it, or it is not one.
    pub(crate) fn secret(&self) -> Result<Secret, OpenError> {
        let secret = match &self.token {
            Token::None => return Err(OpenError::MissingToken { place: self.place() }),
            Token::Text(text) => text.clone(),
            Token::File(file) => first_line(file)?,
        };
        match kvfs_http_wire::is_token(secret.reveal()) {
            true => Ok(secret),
            false => Err(OpenError::Token { place: self.place() }),
        }
    }
}

/// Reads the first line of a file that nobody else may read. A token is short.
fn first_line(path: &Path) -> Result<Secret, OpenError> {
    use std::io::Read;
    let file = path.display().to_string();
    let failed = |source| OpenError::TokenFile { file: file.clone(), source };
    let opened = std::fs::File::open(path).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if opened.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(OpenError::TokenIsOpen { file });
        }
    }
    let mut text = Vec::new();
    opened.take(2 * kvfs_http_wire::MAX_TOKEN_CHARS as u64).read_to_end(&mut text).map_err(failed)?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
    Ok(Secret::new(String::from_utf8_lossy(line)))
}
