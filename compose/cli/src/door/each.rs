//! Does something for each of several arguments.

use crate::busy::Busy;
use crate::terminal::{complain, is_closed_output};
use anyhow::Result;
use std::process::ExitCode;

/// Does something for each argument. What fails is told, and makes the exit code 1; the others are done,
/// unless nobody reads standard output any more.
pub(super) fn each<A>(
    args: impl IntoIterator<Item = A>,
    busy: Option<&Busy>,
    mut work: impl FnMut(A) -> Result<()>,
) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for arg in args {
        if let Err(error) = work(arg) {
            if is_closed_output(&error) {
                break;
            }
            match busy {
                Some(busy) => busy.aside(|| complain(&error)),
                None => complain(&error),
            }
            code = ExitCode::FAILURE;
        }
    }
    code
}
