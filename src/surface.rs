//! The gate's own surface: every operation there is under the prefix, by method and path. The router finds operations
//! in this table, and the OpenAPI description has to describe exactly these. What they do is the edge's business.

mod admin;
mod own;

pub use admin::AdminOperation;
pub use own::OwnOperation;

/// An operation that the gate itself answers.
pub trait Operation: Copy + 'static {
    /// All of a kind.
    const ALL: &'static [Self];

    /// Its method and its path under the prefix, with `{name}` for each segment that is a parameter.
    fn route(self) -> (&'static str, &'static str);
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'p, O> {
    /// That operation, with the segments of the path that are parameters, as they came: at most two, the rest empty.
    Operation(O, [&'p str; 2]),
    /// The path is there, but not with this method: the value of `Allow` (RFC 9110 §10.2.1).
    WrongMethod(String),
    /// There is no such path.
    Nothing,
}

/// Finds the operation for a request. `HEAD` is answered wherever `GET` is.
#[must_use]
pub fn find<'p, O: Operation>(method: &str, path: &'p str) -> Found<'p, O> {
    let wanted = if method == "HEAD" { "GET" } else { method };
    let matching = |operation: &O| {
        let (method, template) = operation.route();
        Some((*operation, method, parameters(template, path)?))
    };
    let mut there: Vec<_> = O::ALL.iter().filter_map(matching).collect();
    // What a path says word for word counts before what a parameter could be.
    let fewest = there.iter().map(|(.., parameters)| count(parameters)).min();
    there.retain(|(.., parameters)| Some(count(parameters)) == fewest);
    if let Some((operation, _, parameters)) = there.iter().find(|(_, method, _)| *method == wanted) {
        return Found::Operation(*operation, *parameters);
    }
    if there.is_empty() {
        return Found::Nothing;
    }
    Found::WrongMethod(allow(there.iter().map(|(_, method, _)| *method)))
}

fn count(parameters: &[&str; 2]) -> usize {
    parameters.iter().filter(|parameter| !parameter.is_empty()).count()
}

/// Methods as `Allow` lists them.
fn allow(methods: impl Iterator<Item = &'static str>) -> String {
    let each = methods.flat_map(|method| if method == "GET" { vec!["GET", "HEAD"] } else { vec![method] });
    each.collect::<Vec<_>>().join(", ")
}

/// The parameters of a path, where it is of that template. No parameter is empty.
fn parameters<'p>(template: &str, path: &'p str) -> Option<[&'p str; 2]> {
    let mut segments = path.split('/');
    let mut found = Vec::new();
    for wanted in template.split('/') {
        let segment = segments.next()?;
        if wanted.starts_with('{') {
            found.push((!segment.is_empty()).then_some(segment)?);
        } else if wanted != segment {
            return None;
        }
    }
    let mut found = found.into_iter();
    let mut next = || found.next().unwrap_or_default();
    segments.next().is_none().then(|| [next(), next()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes<O: Operation>() -> Vec<(&'static str, &'static str)> {
        O::ALL.iter().map(|operation| operation.route()).collect()
    }

    #[test]
    fn every_operation_is_found_and_no_two_are_the_same() {
        let mut all = [routes::<OwnOperation>(), routes::<AdminOperation>()].concat();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for (method, template) in all {
            let parameters = template.matches('{').count();
            assert!(parameters <= 2, "{template} has more parameters than can be handed on");
            let path = template.replace(['{', '}'], "");
            let known = matches!(find::<OwnOperation>(method, &path), Found::Operation(..))
                || matches!(find::<AdminOperation>(method, &path), Found::Operation(..));
            assert!(known, "{method} {path}");
        }
    }

    #[test]
    fn parameters_are_segments_as_they_came() {
        assert_eq!(
            find("PUT", "/admin/accounts/ip%3A2001:db8::%2F64/plan"),
            Found::Operation(AdminOperation::PutAccountPlan, ["ip%3A2001:db8::%2F64", ""])
        );
        assert_eq!(find("HEAD", "/receipts/rcpt_1"), Found::Operation(OwnOperation::Receipt, ["rcpt_1", ""]));
    }

    #[test]
    fn a_path_with_another_method_says_which_it_has() {
        let found: Found<'_, AdminOperation> = find("PATCH", "/admin/plans/free");
        assert_eq!(found, Found::WrongMethod("GET, HEAD, PUT, DELETE".to_owned()));
    }

    #[test]
    fn a_word_of_a_path_counts_before_a_parameter() {
        let found: Found<'_, AdminOperation> = find("POST", "/admin/accounts/key%3Aa/credits/deduct");
        assert_eq!(found, Found::Operation(AdminOperation::DeductCredits, ["key%3Aa", ""]));
        let found: Found<'_, AdminOperation> = find("DELETE", "/admin/accounts/key%3Aa/credits/deduct");
        assert_eq!(found, Found::WrongMethod("POST".to_owned()));
    }

    #[test]
    fn what_is_longer_shorter_or_empty_is_not_there() {
        for path in ["", "/", "/health/more", "/healt", "/receipts", "/receipts/", "health", "/health/"] {
            assert_eq!(find::<OwnOperation>("GET", path), Found::Nothing, "{path}");
        }
    }
}
