//! The page of a directory.

use super::answer::{Answer, Page, Refused};
use super::html::{Address, Html};
use super::parts::{pager, size, time, trail};
use super::query::Query;
use super::stores::refuse_files;
use hyper::StatusCode;
use kvfs::{Follow, Kind, Stat};
use kvfs_host::Files;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

/// Entries on a page.
const ENTRIES: usize = 500;

/// Names of a directory that follow another one, and whether there are more.
struct Names {
    names: Vec<String>,
    count: u64,
    more: bool,
}

/// Finds the first names behind `after`, in order, in memory that does not grow with the directory.
fn names_behind(files: &mut Files, path: &str, after: &str) -> Result<Names, Refused> {
    let (mut first, mut count, mut more) = (BinaryHeap::new(), 0, false);
    let listed = files.each_entry(path, &mut |entry| {
        count += 1;
        if entry.name.as_str() > after {
            first.push(entry.name);
            if first.len() > ENTRIES {
                more = true;
                first.pop();
            }
        }
        ControlFlow::Continue(())
    });
    listed.map_err(|error| refuse_files(&error))?;
    Ok(Names { names: first.into_sorted_vec(), count, more })
}

pub(super) fn page(files: &mut Files, volume: &str, path: &str, query: &Query) -> Result<Answer, Refused> {
    let after = query.get("after").unwrap_or_default();
    let Names { names, count, more } = names_behind(files, path, after)?;
    let mut main = Html::default();
    match path {
        "/" => main.markup("<h1>").text(volume),
        path => main.markup("<h1>").text(path),
    };
    main.markup("</h1>\n<p class=\"note\">").text(count);
    main.markup(if count == 1 { " entry" } else { " entries" }).markup(" in the directory ").text(path);
    main.markup(" of volume ").text(volume).markup("</p>\n");
    if !names.is_empty() {
        main.markup("<div class=\"wide\" role=\"region\" aria-label=\"Entries\" tabindex=\"0\"><table>\n");
        main.markup("<caption>Entries of the directory</caption>\n<thead><tr><th scope=\"col\">Name</th>");
        main.markup("<th scope=\"col\">Kind</th><th scope=\"col\" class=\"number\">Bytes</th>");
        main.markup("<th scope=\"col\">Modified</th></tr></thead>\n<tbody>\n");
        for name in &names {
            let inner = format!("{}/{name}", path.trim_end_matches('/'));
            match files.stat(&inner, Follow::No) {
                Ok(stat) => row(&mut main, volume, &inner, name, Some(&stat)),
                Err(error) if error.in_volume() == Some(&kvfs::Error::NoEntry) => {}
                Err(_) => row(&mut main, volume, &inner, name, None),
            }
        }
        main.markup("</tbody></table></div>\n");
    }
    let next = names.last().filter(|_| more).map(String::as_str);
    let of = |after| [("volume", volume), ("path", path), ("after", after)];
    pager(&mut main, "files", (!after.is_empty()).then(|| of("")), next.map(of));
    Ok(Answer::Page(Page {
        status: StatusCode::OK,
        title: format!("{path} in {volume}"),
        trail: trail(volume, path),
        main,
    }))
}

fn row(main: &mut Html, volume: &str, path: &str, name: &str, stat: Option<&Stat>) {
    main.markup("<tr><th scope=\"row\">");
    main.link(&Address::new("files", &[("volume", volume), ("path", path)]), name);
    let Some(stat) = stat else {
        main.markup("</th><td colspan=\"3\">damaged</td></tr>\n");
        return;
    };
    main.markup(match stat.kind {
        Kind::Directory => "/</th><td>directory</td><td class=\"number\">",
        Kind::Symlink => "</th><td>link</td><td class=\"number\">",
        Kind::File => "</th><td>file</td><td class=\"number\">",
    });
    if stat.kind == Kind::File {
        size(main, stat.size);
    }
    main.markup("</td><td>");
    time(main, stat.mtime);
    main.markup("</td></tr>\n");
}
