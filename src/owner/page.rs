//! Lists, page by page: `?limit=` and `cursor`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// How many items a page has where nobody says.
const USUAL: u64 = 100;
/// And at most.
const MOST: u64 = 1000;

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many items, from 1 to 1000.
    pub limit: u64,
    /// The place of the last item that the caller has, in the list's order.
    after: Vec<String>,
}

impl Page {
    /// Reads `limit` and `cursor` of a query.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub fn read(limit: Option<&str>, cursor: Option<&str>) -> Result<Self, String> {
        let limit = match limit.map(|limit| (limit, limit.parse())) {
            None => USUAL,
            Some((_, Ok(limit))) if (1..=MOST).contains(&limit) => limit,
            Some((written, _)) => {
                return Err(format!("`limit={written}` is not a whole number from 1 to {MOST}"));
            }
        };
        let after = match cursor {
            None => Vec::new(),
            Some(cursor) => place(cursor).ok_or_else(|| {
                format!("`cursor={cursor}` is not one; take next_cursor of the page before")
            })?,
        };
        Ok(Self { limit, after })
    }

    /// The first items of a list.
    #[must_use]
    pub const fn first(limit: u64) -> Self {
        Self { limit, after: Vec::new() }
    }

    /// The page behind that place, as long as this one.
    #[must_use]
    pub const fn behind(&self, place: Vec<String>) -> Self {
        Self { limit: self.limit, after: place }
    }

    /// A part of the place that the page starts behind; empty at the start of the list.
    #[must_use]
    pub fn after(&self, part: usize) -> &str {
        self.after.get(part).map_or("", String::as_str)
    }

    /// How many rows to look for: one more than the page has, which tells whether another page follows.
    #[must_use]
    pub const fn look_for(&self) -> u64 {
        self.limit.saturating_add(1)
    }

    /// The rows of the page, of those that were looked for, and the place of the last one where more follow. `place` is
    /// the place of a row in the list's order.
    pub fn cut<T>(&self, rows: &mut Vec<T>, place: impl Fn(&T) -> Vec<String>) -> Option<Vec<String>> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let is_more = rows.len() > limit;
        rows.truncate(limit);
        rows.last().filter(|_| is_more).map(place)
    }

    /// The page as it is answered, of the rows that were looked for.
    #[must_use]
    pub fn body<T>(
        &self,
        mut rows: Vec<T>,
        place: impl Fn(&T) -> Vec<String>,
        item: impl Fn(&T) -> Value,
    ) -> Value {
        let next = self.cut(&mut rows, place);
        let next = next.map(|place| URL_SAFE_NO_PAD.encode(json!(place).to_string()));
        let items = rows.iter().map(item).collect();
        let members = [("items".to_owned(), Value::Array(items)), ("next_cursor".to_owned(), next.into())];
        Value::Object(members.into_iter().collect())
    }
}

fn place(cursor: &str) -> Option<Vec<String>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_to_the_next_page() {
        let page = Page::read(Some("1"), None).unwrap();
        let body =
            page.body(vec!["key_a", "key_b"], |id| vec!["2026".to_owned(), (*id).to_owned()], |id| json!(id));
        assert_eq!(body["items"], json!(["key_a"]));
        let next = Page::read(None, body["next_cursor"].as_str()).unwrap();
        assert_eq!((next.limit, next.after(0), next.after(1), next.after(2)), (100, "2026", "key_a", ""));
    }

    #[test]
    fn a_page_that_nothing_follows_is_the_last_though_it_is_full() {
        for (limit, rows) in [("2", vec![1]), ("1", vec![1])] {
            let page = Page::read(Some(limit), None).unwrap();
            let body = page.body(rows, |row| vec![row.to_string()], |row| json!(row));
            assert_eq!(body, json!({ "items": [1], "next_cursor": null }));
        }
    }

    #[test]
    fn what_is_no_page_is_said() {
        for (limit, cursor, said) in [
            (Some("0"), None, "`limit=0` is not a whole number from 1 to 1000"),
            (Some("1001"), None, "`limit=1001` is not a whole number from 1 to 1000"),
            (Some("x"), None, "`limit=x` is not a whole number from 1 to 1000"),
            (None, Some("%"), "`cursor=%` is not one; take next_cursor of the page before"),
        ] {
            assert_eq!(Page::read(limit, cursor), Err(said.to_owned()));
        }
    }
}
