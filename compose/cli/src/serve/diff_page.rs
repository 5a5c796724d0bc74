//! The page of what differs between two volumes.

use super::answer::{Answer, Page, Refused};
use super::html::{Address, Html};
use super::parts::pager;
use super::query::Query;
use super::stores::Moment;
use super::volumes_page::names;
use hyper::StatusCode;
use kvfs::Kind;
use kvfs::volumes::{Changed, Difference};

/// Differences on a page.
const DIFFERENCES: usize = 500;

pub(super) fn page(moment: &Moment<'_>, query: &Query) -> Result<Answer, Refused> {
    let (first, second) = (query.get("first"), query.get("second"));
    let mut main = Html::default();
    main.markup("<h1>Compare volumes</h1>\n");
    form(&mut main, &names(moment)?.0, first.unwrap_or_default(), second.unwrap_or_default());
    let mut title = "Compare volumes".to_owned();
    if let (Some(first), Some(second)) = (first, second) {
        let image = moment.image(first)?.map_or_else(|| moment.image(second), |image| Ok(Some(image)))?;
        let found =
            moment.volumes.diff(first, second, image.as_ref()).map_err(|error| moment.refuse(error))?;
        title = format!("{first} and {second}");
        main.markup("<h2>From ").text(first).markup(" to ").text(second).markup("</h2>\n");
        table(&mut main, &found, first, second, query.number("at")?);
    }
    Ok(Answer::Page(Page { status: StatusCode::OK, title, trail: Html::default(), main }))
}

fn form(main: &mut Html, names: &[String], first: &str, second: &str) {
    main.markup("<form action=\"diff\" class=\"compare\">\n<datalist id=\"names\">");
    for name in names {
        main.markup("<option value=\"").text(name).markup("\"></option>");
    }
    main.markup("</datalist>\n<label for=\"first\">From volume</label> ");
    main.markup("<input id=\"first\" name=\"first\" list=\"names\" autocomplete=\"off\" required value=\"");
    main.text(first).markup("\">\n<label for=\"second\">to volume</label> ");
    main.markup("<input id=\"second\" name=\"second\" list=\"names\" autocomplete=\"off\" required value=\"");
    main.text(second).markup("\">\n<button>Compare</button>\n</form>\n");
}

fn table(main: &mut Html, found: &[Difference], first: &str, second: &str, at: u64) {
    if found.is_empty() {
        main.markup("<p>The volumes do not differ.</p>\n");
        return;
    }
    main.markup("<p class=\"note\">").text(found.len());
    main.markup(if found.len() == 1 { " difference" } else { " differences" }).markup("</p>\n");
    let start = usize::try_from(at).unwrap_or(usize::MAX);
    let shown: Vec<&Difference> = found.iter().skip(start).take(DIFFERENCES).collect();
    main.markup("<div class=\"wide\" role=\"region\" aria-label=\"Differences\" tabindex=\"0\"><table>\n");
    main.markup("<caption>What differs</caption>\n<thead><tr><th scope=\"col\">Path</th>");
    main.markup("<th scope=\"col\">Kind</th><th scope=\"col\">Change</th></tr></thead>\n<tbody>\n");
    for difference in &shown {
        row(main, difference, first, second);
    }
    main.markup("</tbody></table></div>\n");
    let end = start.saturating_add(shown.len());
    let next = end.to_string();
    let of = |at| [("first", first), ("second", second), ("at", at)];
    pager(main, "diff", (start > 0).then(|| of("")), (end < found.len()).then(|| of(&next)));
}

fn row(main: &mut Html, difference: &Difference, first: &str, second: &str) {
    let path = difference.path.as_str();
    let before = match &difference.change {
        Changed::Renamed { from, .. } => from,
        _ => path,
    };
    main.markup("<tr><th scope=\"row\">");
    match (&difference.change, difference.kind) {
        (Changed::Removed, _) => {
            main.link(&Address::new("files", &[("volume", first), ("path", path)]), path)
        }
        (Changed::Modified(_) | Changed::Renamed { .. }, Kind::File) => {
            let parameters = [("first", first), ("second", second), ("before", before), ("path", path)];
            main.link(&Address::new("changed", &parameters), path)
        }
        _ => main.link(&Address::new("files", &[("volume", second), ("path", path)]), path),
    };
    main.markup(match difference.kind {
        Kind::File => "</th><td>file</td>",
        Kind::Directory => "</th><td>directory</td>",
        Kind::Symlink => "</th><td>link</td>",
    });
    match &difference.change {
        Changed::Added => main.markup("<td class=\"added\">added"),
        Changed::Removed => main.markup("<td class=\"removed\">removed"),
        Changed::Modified(what) => {
            let parts = [
                ("kind", what.kind),
                ("bytes", what.bytes),
                ("times", what.times),
                ("number of names", what.links),
            ];
            let parts: Vec<&str> =
                parts.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect();
            main.markup("<td>modified: ").text(parts.join(", "))
        }
        Changed::Renamed { from, .. } => main.markup("<td>renamed from ").text(from),
    };
    main.markup("</td></tr>\n");
}
