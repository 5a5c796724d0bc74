//! A program composed with another guest: both have files, in one tree.

use bindings::kvfs::guests::notes::{self, Change, Journal};
use bindings::wasi::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../wit"],
        world: "kvfs:guests/caller",
        generate_all,
        pub_export_macro: true,
    });
}

struct Caller;

bindings::export!(Caller with_types_in bindings);

fn say(label: &str, value: impl std::fmt::Debug) {
    let line = format!("{label}: {value:?}\n");
    let _ = bindings::wasi::cli::stdout::get_stdout().blocking_write_and_flush(line.as_bytes());
}

impl bindings::exports::wasi::cli::run::Guest for Caller {
    fn run() -> Result<(), ()> {
        let (root, _) =
            bindings::wasi::filesystem::preopens::get_directories().into_iter().next().ok_or(())?;
        say("written by the other", notes::append("shared", "from the other "));
        let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
        let file = root.open_at(PathFlags::empty(), "shared", OpenFlags::empty(), flags).map_err(drop)?;
        say("seen here", file.read(100, 0));
        say("written here", file.write(b"and from here", 15));
        say("seen by the other", notes::read("shared"));
        root.rename_at("shared", &root, "moved").map_err(drop)?;
        say("moved here, seen by the other", (notes::read("shared"), notes::read("moved")));
        say(
            "removed and made again there",
            notes::apply("moved", &[Change::Clear, Change::Add("new".into())]).map(|n| n.size),
        );
        say("seen by the descriptor here", file.read(100, 0));
        let journal = Journal::new("journal");
        say("journal", (journal.write("one"), journal.write("two"), journal.lines()));
        say("size here", root.stat_at(PathFlags::empty(), "journal").map(|stat| stat.size));
        say("missing there", notes::read("missing"));
        Ok(())
    }
}
