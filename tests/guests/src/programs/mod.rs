//! Programs that report what they observe of the file system: one for each operation and each of
//! its error codes.

mod access;
mod ending;
mod identity;
mod input;
mod linking;
mod listing;
mod making;
mod opening;
mod output;
mod paths;
mod polling;
mod positioned;
mod renaming;
mod sizing;
mod splicing;
mod times;

use crate::wasi::Descriptor;

/// A program. It takes the directory preopened as `/`, which is empty.
pub(crate) type Program = fn(&Descriptor) -> Result<(), String>;

/// Lists programs by module and function. Most return nothing.
macro_rules! programs {
    ($($module:ident: $($function:ident),+;)+) => {
        const ALL: &[(&str, Program)] = &[$($(
            (concat!(stringify!($module), "/", stringify!($function)), |root| $module::$function(root).into_outcome()),
        )+)+];
    };
}

programs! {
    access: read_only_file, write_only_file, read_only_directory, files_as_directories, directories_as_files, flags;
    ending: returns, returns_an_error, exits_well, exits_badly, exits_with_a_code, traps;
    identity: hashes, same_objects;
    input: reads, blocking_reads, nothing_wanted, skips, past_the_end, grows_while_read, an_end_is_for_good,
        outlives_its_descriptor;
    linking: hard_links, hard_link_errors, symbolic_links, symbolic_link_errors, read_links;
    listing: entries, many_entries, changes_under_way, errors;
    making: directories, directory_errors, removes, removes_with_slashes, unlinks, unlink_of_an_open_file;
    opening: creates, exclusive, truncates, demands_a_directory, without_flags, of_directories, errors, sync_flags;
    output: writes, checks_first, writes_at_an_offset, appends, zeroes, two_at_once, outlives_its_descriptor,
        too_far, more_than_a_call_takes, without_a_check;
    paths: dots, escapes, slashes, links_on_the_way, loops, depth_of_links, long_names, odd_names, through_files;
    polling: files_alone, files_and_clocks, standard_streams, empty_list;
    positioned: reads, writes, holes, far_offsets, advice, syncs;
    renaming: files, directories, errors, across_directories, onto_itself, last_dots, of_open_files;
    sizing: grows_and_shrinks, errors, far;
    splicing: file_to_file, standard_input_to_file, file_to_standard_output, at_the_end;
    times: set, set_at, through_links, errors, moved_by_operations;
}

pub(crate) fn find(name: &str) -> Option<Program> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, program)| *program)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

trait IntoOutcome {
    fn into_outcome(self) -> Result<(), String>;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Result<(), String> {
        Ok(())
    }
}

impl IntoOutcome for Result<(), String> {
    fn into_outcome(self) -> Result<(), String> {
        self
    }
}
