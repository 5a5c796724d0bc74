//! Names for people at a terminal: in colours and columns.

use crate::terminal::{colours, on_terminal};
use console::Term;
use kvfs::Kind;
use kvfs_compose::Visible;
use lscolors::{Indicator, LsColors};
use term_grid::{Direction, Filling, Grid, GridOptions};

/// Shows names: escaped, in columns on a terminal, and in the colours of `LS_COLORS` if it has them.
pub(super) struct Painter {
    colours: Option<LsColors>,
    /// The columns of the terminal.
    width: Option<usize>,
}

impl Painter {
    /// Without columns if each name is to have a line.
    pub(super) fn new(one_a_line: bool) -> Self {
        Self {
            colours: colours().then(|| LsColors::from_env().unwrap_or_default()),
            width: (on_terminal() && !one_a_line).then(|| usize::from(Term::stdout().size().1)),
        }
    }

    /// Returns a name as it is shown.
    pub(super) fn name(&self, name: &str, kind: Kind) -> String {
        let shown = Visible(name).to_string();
        let style = self.colours.as_ref().and_then(|colours| match kind {
            Kind::Directory => colours.style_for_indicator(Indicator::Directory),
            Kind::Symlink => colours.style_for_indicator(Indicator::SymbolicLink),
            Kind::File => {
                colours.style_for_str(name).or_else(|| colours.style_for_indicator(Indicator::RegularFile))
            }
        });
        match style.map(lscolors::Style::to_nu_ansi_term_style) {
            // A plain style would end with a reset all the same.
            Some(style) if !style.is_plain() => style.paint(shown).to_string(),
            _ => shown,
        }
    }

    /// Returns the lines of shown names: in columns if somebody watches, else one a line.
    pub(super) fn columns(&self, names: Vec<String>) -> Vec<String> {
        match self.width {
            Some(width) if !names.is_empty() => {
                let filling = Filling::Spaces(2);
                let options = GridOptions { filling, direction: Direction::TopToBottom, width };
                Grid::new(names, options).to_string().lines().map(|line| line.trim_end().to_owned()).collect()
            }
            _ => names,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Painter;
    use kvfs::Kind;
    use lscolors::LsColors;

    #[test]
    fn names_are_escaped_inside_of_their_colours() {
        let colours = LsColors::from_string("di=01;34:ln=00:*.txt=31");
        let painter = Painter { colours: Some(colours), width: Some(20) };
        let name = painter.name("d\x1b[2J", Kind::Directory);
        assert!(name.starts_with("\x1b[1;34m") && name.contains("d\\u{1b}[2J\x1b[0m"), "{name:?}");
        assert_eq!(painter.name("l\n", Kind::Symlink), "l\\n");
        assert_eq!(painter.name("a.txt", Kind::File), "\x1b[31ma.txt\x1b[0m");
        assert_eq!(painter.name("plain", Kind::File), "plain");
    }

    #[test]
    fn columns_are_filled_from_above_and_fit_the_terminal() {
        let names = || ["a", "bb", "ccc", "d", "e"].map(str::to_owned).to_vec();
        let narrow = Painter { colours: None, width: Some(9) };
        assert_eq!(narrow.columns(names()), ["a    d", "bb   e", "ccc"]);
        let piped = Painter { colours: None, width: None };
        assert_eq!(piped.columns(names()), names());
        assert!(narrow.columns(Vec::new()).is_empty());
        assert_eq!(Painter { colours: None, width: Some(0) }.columns(names()).len(), 5);
    }
}
