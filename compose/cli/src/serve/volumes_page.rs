//! The page of all volumes.

use super::answer::{Answer, Page, Refused};
use super::forks::Branch;
use super::html::{Address, Html};
use super::stores::Moment;
use hyper::StatusCode;
use indicatif::HumanBytes;
use kvfs::volumes::VolumeInfo;
use kvfs_host::VolumesError;

/// Most volumes on the page.
const MAX_SHOWN: usize = 1000;

/// Branches in branches that are shown as such. Deeper ones are shown flat, not to nest pages without end.
const MAX_DEPTH: usize = 32;

/// The names of the first volumes, and how many there are.
pub(super) fn names(moment: &Moment<'_>) -> Result<(Vec<String>, usize), Refused> {
    let (mut names, mut count) = (Vec::new(), 0);
    let listed = moment.volumes.list(|name, _| {
        count += 1;
        if names.len() < MAX_SHOWN {
            names.push(name.to_owned());
        }
        Ok::<(), VolumesError>(())
    });
    listed.map_err(|error| moment.refuse(error))?;
    Ok((names, count))
}

pub(super) fn page(moment: &Moment<'_>) -> Result<Answer, Refused> {
    let (names, count) = names(moment)?;
    let (mut infos, mut damaged) = (Vec::new(), Vec::new());
    for name in &names {
        match moment.volumes.info(name) {
            Ok(info) => infos.push(info),
            // Removed a moment ago.
            Err(VolumesError::Missing { .. }) => {}
            Err(error) => damaged.push((name, moment.refuse(error).why)),
        }
    }
    let mut main = Html::default();
    main.markup("<h1>Volumes</h1>\n");
    if count == 0 {
        main.markup("<p>The store has no volumes.</p>\n");
    }
    if count > names.len() {
        main.markup("<p class=\"note\">Shown are the first ").text(names.len()).markup(" of ");
        main.text(count).markup(", shorter names first. Others by name:</p>\n");
        main.markup("<form action=\"files\"><label for=\"volume\">Volume</label> ");
        main.markup("<input id=\"volume\" name=\"volume\" required> <button>Open</button></form>\n");
    }
    if !infos.is_empty() {
        let tree = Branch::of(infos);
        if !tree.branches.is_empty() {
            main.markup("<p class=\"note\">Volumes in one group have a common past: they are forks or snapshots, and share what they had then.</p>\n");
        }
        branch(&mut main, &tree, 0);
    }
    if !damaged.is_empty() {
        main.markup("<h2>Cannot be read</h2>\n<ul class=\"volumes\">\n");
        for (name, why) in damaged {
            main.markup("<li><strong>").text(name).markup("</strong> <span class=\"what\">").text(why);
            main.markup("</span></li>\n");
        }
        main.markup("</ul>\n");
    }
    Ok(Answer::Page(Page {
        status: StatusCode::OK,
        title: "Volumes".to_owned(),
        trail: Html::default(),
        main,
    }))
}

fn branch(main: &mut Html, of: &Branch, depth: usize) {
    main.markup("<ul class=\"volumes\">\n");
    for volume in &of.volumes {
        item(main, volume);
    }
    for inner in &of.branches {
        if depth == MAX_DEPTH {
            flat(main, inner);
            continue;
        }
        main.markup("<li class=\"group\"><span class=\"what\">").text(inner.count());
        main.markup(" volumes with a common past</span>\n");
        branch(main, inner, depth + 1);
        main.markup("</li>\n");
    }
    main.markup("</ul>\n");
}

fn flat(main: &mut Html, of: &Branch) {
    of.volumes.iter().for_each(|volume| item(main, volume));
    of.branches.iter().for_each(|inner| flat(main, inner));
}

fn item(main: &mut Html, volume: &VolumeInfo) {
    main.markup("<li>").link(&Address::new("files", &[("volume", &volume.name)]), &volume.name);
    main.markup(" <span class=\"what\">").text(HumanBytes(volume.used.bytes)).markup(", ");
    let files = volume.used.inodes;
    main.text(files).markup(if files == 1 { " file or directory" } else { " files and directories" });
    main.markup(if volume.read_only { ", read-only" } else { "" });
    main.markup(if volume.unchanged { ", unchanged since the fork" } else { "" });
    main.markup("</span></li>\n");
}
