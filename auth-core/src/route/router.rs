use std::collections::HashMap;

use super::{
    Method,
    pattern::{Pattern, Segment},
};

/// Finds what a method and a path name, among any number of routes at about the same cost.
///
/// Of the routes that match, the most specific wins: from the left, a literal goes before `{name}` and `*`,
/// these before `**`. On equal patterns a route's own method goes before `ANY`, and HEAD reaches what GET does
/// unless it has a route of its own. The order of the rows is
/// without meaning.
#[derive(Clone, Debug)]
pub struct Router<T> {
    rows: Vec<Row<T>>,
    /// A trie over segments; the first node is its root.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
struct Row<T> {
    method: Method,
    pattern: Pattern,
    value: T,
}

#[derive(Clone, Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, usize>,
    one: Option<usize>,
    /// The routes that end here.
    ends: Ends,
    /// The routes that end in `**` here.
    rests: Ends,
}

/// The routes of one shape, by method; their values are indices of rows.
#[derive(Clone, Debug, Default)]
struct Ends {
    exact: Vec<(Box<str>, usize)>,
    any: Option<usize>,
}

/// No routes at all.
impl<T> Default for Router<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            nodes: vec![Node::default()],
        }
    }
}

/// Two routes that match the same calls.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{method} {first}` and `{method} {second}` match the same paths")]
pub struct Conflict {
    /// The method of both.
    pub method: Method,
    /// The pattern of the earlier row.
    pub first: Pattern,
    /// The pattern of the later row.
    pub second: Pattern,
    /// The indices of both rows.
    pub rows: (usize, usize),
}

/// What a call names. All but the first are refused; outside, the two look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'r, 'p, T> {
    /// The most specific route.
    Found(Match<'r, 'p, T>),
    /// The path has routes, but none for this method.
    OtherMethod,
    /// No route has this path.
    Unknown,
}

impl<'r, 'p, T> Lookup<'r, 'p, T> {
    /// The route, if there is one.
    #[must_use]
    pub fn found(self) -> Option<Match<'r, 'p, T>> {
        match self {
            Self::Found(found) => Some(found),
            Self::OtherMethod | Self::Unknown => None,
        }
    }
}

/// The route that a call names, with the parameters of its path.
#[derive(Debug, PartialEq, Eq)]
pub struct Match<'r, 'p, T> {
    /// What the router holds for the route.
    pub value: &'r T,
    /// The method of the route, which may be any.
    pub method: &'r Method,
    /// The pattern that matched.
    pub pattern: &'r Pattern,
    path: &'p str,
}

impl<T> Clone for Match<'_, '_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Match<'_, '_, T> {}

impl<'r, 'p, T> Match<'r, 'p, T> {
    /// The names and values of the path's parameters, in order; found by walking the path again.
    pub fn parameters(&self) -> impl Iterator<Item = (&'r str, &'p str)> + use<'r, 'p, T> {
        let parts = self.path.split('/').skip(1);
        self.pattern
            .segments()
            .iter()
            .zip(parts)
            .filter_map(|(segment, part)| match segment {
                Segment::Parameter(name) => Some((&**name, part)),
                _ => None,
            })
    }

    /// The value of one parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'p str> {
        self.parameters()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

impl<T> Router<T> {
    /// Builds a router.
    ///
    /// # Errors
    ///
    /// Returns [`Conflict`] when two rows have the same method and match the same paths.
    pub fn new(rows: impl IntoIterator<Item = (Method, Pattern, T)>) -> Result<Self, Conflict> {
        let mut router = Self {
            rows: Vec::new(),
            nodes: vec![Node::default()],
        };
        for (method, pattern, value) in rows {
            router.insert(&method, &pattern)?;
            router.rows.push(Row {
                method,
                pattern,
                value,
            });
        }
        Ok(router)
    }

    /// Finds the route of a call. `path` is canonical ([`Target::path`](crate::target::Target::path)).
    ///
    /// Allocates nothing, and visits no more nodes than the path has ways through the wildcards.
    #[must_use]
    pub fn lookup<'r, 'p>(&'r self, method: &str, path: &'p str) -> Lookup<'r, 'p, T> {
        let Some(body) = path.strip_prefix('/') else {
            return Lookup::Unknown;
        };
        let mut search = Search {
            nodes: &self.nodes,
            method,
            is_path_known: false,
        };
        match search
            .below(0, Some(body))
            .and_then(|row| self.rows.get(row))
        {
            Some(Row {
                method,
                pattern,
                value,
            }) => Lookup::Found(Match {
                value,
                method,
                pattern,
                path,
            }),
            None if search.is_path_known => Lookup::OtherMethod,
            None => Lookup::Unknown,
        }
    }

    /// The rows, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&Method, &Pattern, &T)> {
        self.rows
            .iter()
            .map(|row| (&row.method, &row.pattern, &row.value))
    }

    fn insert(&mut self, method: &Method, pattern: &Pattern) -> Result<(), Conflict> {
        let row = self.rows.len();
        let mut node = 0;
        let mut is_rest = false;
        for segment in pattern.segments() {
            match segment {
                Segment::Rest => is_rest = true,
                Segment::Literal(literal) => node = self.child(node, Some(literal)),
                Segment::Parameter(_) | Segment::One => node = self.child(node, None),
            }
        }
        let Some(node) = self.nodes.get_mut(node) else {
            return Ok(());
        };
        let ends = if is_rest {
            &mut node.rests
        } else {
            &mut node.ends
        };
        match ends
            .insert(method, row)
            .and_then(|first| Some((first, self.rows.get(first)?)))
        {
            None => Ok(()),
            Some((index, first)) => Err(Conflict {
                method: method.clone(),
                first: first.pattern.clone(),
                second: pattern.clone(),
                rows: (index, row),
            }),
        }
    }

    /// The child of `node` for a literal, or for any one segment; made when there is none.
    fn child(&mut self, node: usize, literal: Option<&str>) -> usize {
        let new = self.nodes.len();
        let child = match (self.nodes.get_mut(node), literal) {
            (Some(node), Some(literal)) => *node.literals.entry(literal.into()).or_insert(new),
            (Some(node), None) => *node.one.get_or_insert(new),
            (None, _) => new,
        };
        if child == new {
            self.nodes.push(Node::default());
        }
        child
    }
}

impl Ends {
    /// Adds a row, or gives the one that is there already.
    fn insert(&mut self, method: &Method, row: usize) -> Option<usize> {
        match method {
            Method::Any => match self.any {
                Some(first) => return Some(first),
                None => self.any = Some(row),
            },
            Method::Exactly(method) => match self.exact.iter().find(|(known, _)| known == method) {
                Some((_, first)) => return Some(*first),
                None => self.exact.push((method.clone(), row)),
            },
        }
        None
    }

    /// The row of a method: its own, else for HEAD that of GET, which it is but for the body of
    /// the answer (RFC 9110 section 9.3.2), else that of all methods.
    fn find(&self, method: &str) -> Option<usize> {
        let exact = |method: &str| {
            let mut rows = self.exact.iter();
            rows.find(|(known, _)| **known == *method)
                .map(|(_, row)| *row)
        };
        let as_get = || (method == "HEAD").then(|| exact("GET")).flatten();
        exact(method).or_else(as_get).or(self.any)
    }
}

struct Search<'r, 'm> {
    nodes: &'r [Node],
    method: &'m str,
    is_path_known: bool,
}

impl Search<'_, '_> {
    /// The best row below `node` for the rest of a path, which is `None` behind the last segment.
    ///
    /// Literals are tried first and `**` last, so the first row found is the most specific. The depth is that
    /// of the longest pattern, whatever the path.
    fn below(&mut self, node: usize, rest: Option<&str>) -> Option<usize> {
        let node = self.nodes.get(node)?;
        let found = match rest {
            None => self.at(&node.ends),
            Some(rest) => {
                let (part, rest) = match rest.split_once('/') {
                    Some((part, rest)) => (part, Some(rest)),
                    None => (rest, None),
                };
                let literal = node.literals.get(part).copied();
                let one = node.one.filter(|_| !part.is_empty());
                literal
                    .and_then(|child| self.below(child, rest))
                    .or_else(|| one.and_then(|child| self.below(child, rest)))
            }
        };
        found.or_else(|| self.at(&node.rests))
    }

    fn at(&mut self, ends: &Ends) -> Option<usize> {
        self.is_path_known |= ends.any.is_some() || !ends.exact.is_empty();
        ends.find(self.method)
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use proptest::prelude::*;

    use super::*;
    use crate::route::Route;

    fn router<'a>(routes: &[&'a str]) -> Router<&'a str> {
        let row = |route: &&'a str| {
            let parsed = Route::parse(route).unwrap();
            (parsed.method, parsed.pattern, *route)
        };
        Router::new(routes.iter().map(row)).unwrap()
    }

    #[test]
    fn the_most_specific_route_wins_in_any_order() {
        let mut routes = [
            "GET /",
            "GET /**",
            "GET /a/**",
            "GET /a",
            "GET /a/",
            "GET /a/*",
            "GET /a/b/d",
            "GET /a/{x}/c",
            "GET /a/{x}/**",
            "DELETE /a/b",
            "ANY /a/b/c/d",
            "GET /{x}/b/c",
        ];
        let cases = [
            ("GET /", "GET /"),
            ("GET /z", "GET /**"),
            ("GET /a", "GET /a"),
            ("GET /a/", "GET /a/"),
            ("GET /a/x", "GET /a/*"),
            ("GET /a/b", "GET /a/*"), // The literal is for another method.
            ("DELETE /a/b", "DELETE /a/b"),
            ("GET /a/b/d", "GET /a/b/d"),
            ("GET /a/b/c", "GET /a/{x}/c"), // Back out of the literal `b`.
            ("GET /a/b/e", "GET /a/{x}/**"),
            ("GET /a/b/c/d", "ANY /a/b/c/d"),
            ("GET /z/b/c", "GET /{x}/b/c"),
            ("GET /z/b/d", "GET /**"),
        ];
        for _ in 0..2 {
            let router = router(&routes);
            for (call, expected) in cases {
                let (method, path) = call.split_once(' ').unwrap();
                let found = router.lookup(method, path).found().unwrap();
                assert_eq!(*found.value, expected, "{call}");
            }
            routes.reverse();
        }
    }

    #[test]
    fn another_method_is_told_from_an_unknown_path() {
        let router = router(&["GET /a", "POST /a/{x}", "GET /x/**"]);
        for (call, is_path_known) in [
            ("POST /a", true),
            ("get /a", true), // Methods are case-sensitive.
            ("ANY /a", true),
            ("HEAD /a/b", true),
            (" /a", true),
            ("GET /a/b", true),
            ("PUT /x/y/z", true),
            ("GET /a/", false),
            ("POST /a/", false),
            ("GET /b", false),
            ("GET /", false),
            ("GET a", false),
            ("GET ", false),
        ] {
            let (method, path) = call.split_once(' ').unwrap();
            let expected = if is_path_known {
                Lookup::OtherMethod
            } else {
                Lookup::Unknown
            };
            assert_eq!(router.lookup(method, path), expected, "{call}");
        }
    }

    #[test]
    fn head_reaches_what_get_does_unless_it_has_a_route_of_its_own() {
        let routes = ["GET /a", "ANY /a", "GET /b", "HEAD /b", "ANY /c", "GET /**"];
        let router = router(&routes);
        for (path, expected) in [
            ("/a", "GET /a"),
            ("/b", "HEAD /b"),
            ("/c", "ANY /c"),
            ("/d", "GET /**"),
        ] {
            let found = router.lookup("HEAD", path).found().unwrap();
            assert_eq!(*found.value, expected, "{path}");
        }
    }

    #[test]
    fn parameters_come_by_name_and_in_order() {
        let router = router(&[
            "GET /{a}/x/{b}/*/{c}/**",
            "GET /{p1}/{p2}/{p3}/{p4}/{p5}/{p6}/{p7}/{p8}/{p9}",
        ]);
        let found = router.lookup("GET", "/1/x/2/3/4/5/6").found().unwrap();
        assert_eq!(
            found.parameters().collect::<Vec<_>>(),
            [("a", "1"), ("b", "2"), ("c", "4")]
        );
        assert_eq!(
            (found.parameter("c"), found.parameter("d")),
            (Some("4"), None)
        );
        let found = router.lookup("GET", "/1/2/3/4/5/6/7/8/9").found().unwrap();
        assert_eq!(found.parameters().count(), 9);
    }

    #[test]
    fn two_routes_of_one_shape_are_a_conflict() {
        for (first, second, conflict) in [
            ("GET /a", "GET /a", true),
            ("GET /a/{x}", "GET /a/{y}", true),
            ("GET /a/{x}", "GET /a/*", true),
            ("ANY /a/**", "ANY /a/**", true),
            ("GET /a", "POST /a", false),
            ("GET /a", "ANY /a", false),
            ("GET /a", "GET /a/", false),
            ("GET /a", "GET /a/**", false),
            ("GET /a/*", "GET /a/**", false),
            ("GET /a/{x}/c", "GET /a/b/{y}", false),
        ] {
            let rows = [first, second].map(|route| {
                let route = Route::parse(route).unwrap();
                (route.method, route.pattern, ())
            });
            match Router::new(rows) {
                Ok(_) => assert!(!conflict, "{first} {second}"),
                Err(err) => {
                    assert!(conflict, "{first} {second}");
                    assert_eq!(err.rows, (0, 1));
                    assert_eq!(
                        err.to_string(),
                        format!("`{first}` and `{second}` match the same paths")
                    );
                }
            }
        }
    }

    /// The rank of a pattern's segments from the left; the greatest is the most specific.
    fn rank(pattern: &str) -> Vec<u8> {
        let rank = |part: &str| match part {
            "**" => 0,
            _ if part == "*" || part.starts_with('{') => 2,
            _ => 3,
        };
        // What ends before a `**` is more specific than it.
        pattern[1..].split('/').map(rank).chain([1]).collect()
    }

    /// The obvious way: try all, take the best.
    fn linear<'a>(routes: &'a [String], method: &str, path: &str) -> (bool, Option<&'a str>) {
        let split = |route: &'a String| route.split_once(' ').unwrap();
        let of_path = || {
            routes
                .iter()
                .filter(|route| Pattern::parse(split(route).1).unwrap().matches(path))
        };
        let best = of_path()
            .filter(|route| [method, "ANY"].contains(&split(route).0))
            .min_by_key(|route| Reverse((rank(split(route).1), split(route).0 != "ANY")));
        (of_path().next().is_some(), best.map(String::as_str))
    }

    fn routes() -> impl Strategy<Value = Vec<String>> {
        let pattern = (
            "(/(a|b|c|\\*)){0,4}",
            prop_oneof![Just(""), Just("/"), Just("/**")],
        );
        let route = ("GET|PUT|ANY", pattern).prop_map(|(method, (segments, end))| {
            let path = segments + end;
            format!("{method} {}", if path.is_empty() { "/" } else { &path })
        });
        prop::collection::hash_set(route, 0..40).prop_map(|routes| routes.into_iter().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn the_router_agrees_with_a_linear_search(
            routes in routes(),
            calls in prop::collection::vec(("GET|PUT|POST", "(/[abcd]){0,5}/?"), 64),
        ) {
            let router = router(&routes.iter().map(String::as_str).collect::<Vec<_>>());
            for (method, path) in calls {
                let (is_path_known, expected) = linear(&routes, &method, &path);
                let lookup = router.lookup(&method, &path);
                prop_assert_eq!(lookup.found().map(|found| *found.value), expected);
                if expected.is_none() {
                    prop_assert_eq!(lookup == Lookup::OtherMethod, is_path_known);
                }
            }
        }

        #[test]
        fn any_path_is_looked_up_without_panic(method in ".*", path in ".*") {
            let _ = router(&["GET /{a}/**", "ANY /a/b/{c}"]).lookup(&method, &path);
        }
    }
}
