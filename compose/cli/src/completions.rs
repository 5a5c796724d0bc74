//! `kvfs completions`.

use crate::terminal::say_bytes;
use anyhow::Result;
use clap::{Args, Command};
use clap_complete::{Shell, generate};

/// Writes a script that completes this command's arguments in a shell.
///
/// `make install` puts the scripts where bash, zsh and fish look for them. For one shell alone:
/// `source <(kvfs completions bash)`.
#[derive(Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub(crate) fn completions(args: &CompletionsArgs, command: &mut Command) -> Result<()> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(args.shell, command, name, &mut script);
    say_bytes(&script)
}
