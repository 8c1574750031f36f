//! The trie of segments that routes are found in.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::policy::pattern::Segment;
use crate::request::method::{MethodIndex, MethodSet};

/// Whether `;` and what follows it belong to a segment.
#[derive(Clone, Copy)]
pub(super) enum Parameters {
    Kept,
    Stripped,
}

/// An index into the routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RouteIndex(u16);

impl RouteIndex {
    const LAST: Self = Self(u16::MAX);

    pub(super) fn of(at: usize) -> Self {
        // INVARIANT: ROUTES_MAX is far below u16::MAX.
        u16::try_from(at).map_or(Self::LAST, Self)
    }

    pub(super) fn get(self) -> usize {
        usize::from(self.0)
    }
}

/// What a search has found so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Matches {
    method: MethodIndex,
    /// The first route that matches path and method.
    pub(super) first: Option<RouteIndex>,
    /// The methods of the routes that match the path but not `method`; empty if there is a `first`.
    pub(super) methods: MethodSet,
}

impl Matches {
    pub(super) fn new(method: MethodIndex) -> Self {
        Self { method, first: None, methods: MethodSet::default() }
    }

    fn add(&mut self, rules: &[Rule]) {
        for rule in rules {
            if rule.methods.contains(self.method) {
                self.first = Some(self.first.map_or(rule.route, |first| first.min(rule.route)));
                // So that two searches that found the same route are equal.
                self.methods = MethodSet::default();
                return;
            }
            if self.first.is_none() {
                self.methods = self.methods.union(rule.methods);
            }
        }
    }
}

/// A route that ends at a node.
#[derive(Clone, Copy, Debug)]
struct Rule {
    route: RouteIndex,
    methods: MethodSet,
}

/// The routes below a sequence of path segments.
// A tree: one sequence of segments leads to each node, so a search visits none twice.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The first route in this node or below it.
    first: RouteIndex,
    /// The nodes after a literal segment.
    literals: BTreeMap<Box<str>, Self>,
    /// The node after a `*`.
    any: Option<Box<Self>>,
    /// The routes whose pattern ends here, in order.
    exact: Vec<Rule>,
    /// The routes whose pattern ends with `*` here, in order.
    rest: Vec<Rule>,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            first: RouteIndex::LAST,
            literals: BTreeMap::new(),
            any: None,
            exact: Vec::new(),
            rest: Vec::new(),
        }
    }
}

impl Node {
    pub(super) fn insert(&mut self, segments: &[Segment], route: RouteIndex, methods: MethodSet) {
        self.first = self.first.min(route);
        match segments {
            [] => push_rule(&mut self.exact, route, methods),
            [Segment::Any] => push_rule(&mut self.rest, route, methods),
            [Segment::Any, rest @ ..] => self.any.get_or_insert_default().insert(rest, route, methods),
            [Segment::Literal(text), rest @ ..] => {
                self.literals.entry(text.clone()).or_default().insert(rest, route, methods);
            }
        }
    }

    /// The methods of the routes here and below that match every path which the pattern matches.
    pub(super) fn covering(&self, segments: &[Segment]) -> MethodSet {
        let rest = union(&self.rest);
        let (literal, segments) = match segments {
            [] => return rest.union(union(&self.exact)),
            [Segment::Any] => return rest,
            [Segment::Any, others @ ..] => (None, others),
            [Segment::Literal(text), others @ ..] => (self.literals.get(text), others),
        };
        literal
            .into_iter()
            .chain(self.any.as_deref())
            .fold(rest, |set, node| set.union(node.covering(segments)))
    }

    /// Adds the routes here and below that match the rest of the path; `None`: the path ends here.
    pub(super) fn search(&self, path: Option<&str>, parameters: Parameters, matches: &mut Matches) {
        if matches.first.is_some_and(|first| first <= self.first) {
            return;
        }
        matches.add(&self.rest);
        let Some(path) = path else {
            return matches.add(&self.exact);
        };
        let (segment, path) = match path.split_once('/') {
            // A trailing slash is no segment.
            Some((segment, "")) => (segment, None),
            Some((segment, path)) => (segment, Some(path)),
            None => (path, None),
        };
        let segment = match parameters {
            Parameters::Kept => segment,
            Parameters::Stripped => segment.split(';').next().unwrap_or_default(),
        };
        if segment.is_empty() {
            // Only the last segment can be nothing but parameters; without them the path ends with a slash.
            return matches.add(&self.exact);
        }
        if let Some(node) = self.literals.get(segment) {
            node.search(path, parameters, matches);
        }
        if let Some(node) = &self.any {
            node.search(path, parameters, matches);
        }
    }
}

/// Adds a rule unless earlier ones match everything that it matches.
fn push_rule(rules: &mut Vec<Rule>, route: RouteIndex, methods: MethodSet) {
    if !methods.is_subset_of(union(rules)) {
        rules.push(Rule { route, methods });
    }
}

fn union(rules: &[Rule]) -> MethodSet {
    rules.iter().fold(MethodSet::default(), |set, rule| set.union(rule.methods))
}
