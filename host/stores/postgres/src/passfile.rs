//! Password files, as PostgreSQL's own tools read them.
//!
//! Format: <https://www.postgresql.org/docs/current/libpq-pgpass.html>.

/// Returns the password that the text of a file has for a connection: that of the first line whose
/// four fields fit.
pub(crate) fn find(text: &str, host: &str, port: u16, database: &str, user: &str) -> Option<String> {
    let port = port.to_string();
    let wanted = [host, &port, database, user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = fields(line);
        let password = fields.pop()?;
        let fits = |(field, wanted): (&Field, &str)| field.any || field.text == wanted;
        (fields.len() == 4 && fields.iter().zip(wanted).all(fits)).then_some(password.text)
    })
}

/// A field, without its escapes.
#[derive(Default)]
struct Field {
    text: String,
    /// It is a `*` alone.
    any: bool,
}

fn fields(line: &str) -> Vec<Field> {
    let mut fields = vec![Field::default()];
    let mut escaped = false;
    for char in line.chars() {
        let many = fields.len() == 5;
        let field = fields.last_mut().expect("at least one");
        match char {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            ':' if !escaped && !many => fields.push(Field::default()),
            _ => {
                field.any = char == '*' && !escaped && field.text.is_empty();
                field.text.push(char);
            }
        }
        escaped = false;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let text = "# comment:*:*:*:no\nshort:line\n\
            db:5432:volumes:agent:first\n*:5432:*:agent:any:with:colons\n\
            *:*:*:a\\:b\\\\c:escaped\n**:*:*:x:no\n*:*:*:x:yes";
        let find = |host, port, user| find(text, host, port, "volumes", user);
        assert_eq!(find("db", 5432, "agent").as_deref(), Some("first"));
        assert_eq!(find("other", 5432, "agent").as_deref(), Some("any:with:colons"));
        assert_eq!(find("other", 5433, "agent"), None);
        assert_eq!(find("other", 1, "a:b\\c").as_deref(), Some("escaped"));
        assert_eq!(find("**", 1, "x").as_deref(), Some("no"));
        assert_eq!(find("db", 1, "x").as_deref(), Some("yes"));
    }
}
