//! The parameters of a page.

use super::answer::Refused;
use hyper::StatusCode;
use std::collections::BTreeMap;

/// The parameters of a page, by name. Of several with one name, the last counts.
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// A parameter that a page can do without; empty counts as none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn need(&self, name: &str) -> Result<&str, Refused> {
        let missing = || Refused::new(StatusCode::BAD_REQUEST, format!("the address has no `{name}`"));
        self.get(name).ok_or_else(missing)
    }

    /// A path in a volume. It starts at the root, and has no part that leads elsewhere.
    pub(super) fn path(&self, name: &str) -> Result<String, Refused> {
        let path = self.get(name).unwrap_or("/");
        let mut whole = String::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if matches!(part, "." | "..") || part.contains('\0') {
                return Err(Refused::new(StatusCode::BAD_REQUEST, format!("`{name}` is no plain path")));
            }
            whole.push('/');
            whole.push_str(part);
        }
        Ok(if whole.is_empty() { "/".to_owned() } else { whole })
    }

    /// A number, 0 if it is not given.
    pub(super) fn number(&self, name: &str) -> Result<u64, Refused> {
        let wrong = |_| Refused::new(StatusCode::BAD_REQUEST, format!("`{name}` is no number"));
        self.get(name).map_or(Ok(0), |text| text.parse().map_err(wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_nowhere_else() {
        let path = |query: &str| Query::parse(query).path("path").map_err(|refused| refused.status);
        assert_eq!(path("").unwrap(), "/");
        assert_eq!(path("path=%2Fa%2F%2Fb+c%2F").unwrap(), "/a/b c");
        assert_eq!(path("path=..%2e").unwrap(), "/...");
        for refused in ["path=..", "path=%2Fa%2F%2e%2E%2Fb", "path=.", "path=a%2F.", "path=a%00b"] {
            assert_eq!(path(refused), Err(StatusCode::BAD_REQUEST), "{refused}");
        }
    }

    #[test]
    fn numbers_are_numbers() {
        let number = |query: &str| Query::parse(query).number("at").ok();
        assert_eq!((number(""), number("at=7"), number("at=")), (Some(0), Some(7), Some(0)));
        assert_eq!((number("at=-1"), number("at=18446744073709551616"), number("at=x")), (None, None, None));
    }
}
