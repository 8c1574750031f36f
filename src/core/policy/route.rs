//! Routes: which rule applies to a path and a method.
//!
//! The rule is the first in the operator's order whose pattern matches the path and whose methods include the method. It is
//! found in a trie of segments, so that a match costs the same for one route and for hundreds.

#[cfg(test)]
mod tests;
mod trie;

use alloc::boxed::Box;
use alloc::vec::Vec;

use trie::{Matches, Node, Parameters, RouteIndex};

use crate::policy::origin::Origin;
use crate::policy::pattern::Pattern;
use crate::record::token::{Scope, Subject};
use crate::request::method::{MethodIndex, MethodSet};
use crate::request::path::{CanonicalPath, PathError, PathRules};

/// More than operators write by hand; it bounds the work of an isolate's start.
pub(crate) const ROUTES_MAX: usize = 1000;

/// How many units of a quota a request costs, unless its route says otherwise.
pub(crate) const DEFAULT_COST: u32 = 1;

/// Who may access a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone; no key is checked.
    Public,
    /// Holders of a key that the route accepts.
    Key,
    /// No one.
    Deny,
}

/// One entry of `ROUTES`.
#[derive(Clone, Debug)]
pub struct Route {
    pub(crate) pattern: Pattern,
    pub(crate) access: Access,
    pub(crate) methods: MethodSet, // INVARIANT: not empty
    pub(crate) scopes: Box<[Scope]>,
    pub(crate) subjects: Box<[Subject]>,
    pub(crate) origin: Option<Origin>,
    pub(crate) origin_authorization: Option<bool>,
    pub(crate) origin_signature: Option<bool>,
    pub(crate) cache: bool,
    pub(crate) cost: u32,
}

impl Route {
    /// The pattern as the operator wrote it.
    #[must_use]
    pub fn path(&self) -> &str {
        self.pattern.as_str()
    }

    /// Who may access the route.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// The methods that the route is for.
    #[must_use]
    pub fn methods(&self) -> MethodSet {
        self.methods
    }

    /// The scopes that a key must have, all of them.
    #[must_use]
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The subjects whose keys are accepted; empty: all.
    #[must_use]
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// The origin of the route, if it is not the gate's.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Whether the route's requests carry `ORIGIN_AUTHORIZATION`, if the route says so.
    #[must_use]
    pub fn origin_authorization(&self) -> Option<bool> {
        self.origin_authorization
    }

    /// Whether the route's requests are signed with `ORIGIN_SIGNING_KEY`, if the route says so.
    #[must_use]
    pub fn origin_signature(&self) -> Option<bool> {
        self.origin_signature
    }

    /// Whether shared caches may store the answers.
    #[must_use]
    pub fn cache(&self) -> bool {
        self.cache
    }

    /// How many units of a quota a request costs.
    #[must_use]
    pub fn cost(&self) -> u32 {
        self.cost
    }
}

/// The rule that applies to a path and a method.
#[derive(Clone, Copy, Debug)]
pub enum Found<'t> {
    /// This route.
    Route(&'t Route),
    /// No route matches the path: any valid key is accepted.
    Default,
    /// Routes match the path, but none of them the method; these are their methods.
    MethodNotAllowed(MethodSet),
    /// Another rule applies to a second interpretation of the path.
    Ambiguous(PathError),
}

impl Found<'_> {
    /// Whether both are the same rule, and one that accepts requests.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Route(route), Self::Route(other)) => core::ptr::eq(*route, *other),
            (Self::Default, Self::Default) => true,
            _ => false,
        }
    }
}

/// The path without an extension: its last segment cut at its first dot, and at its last.
fn without_extension(path: &str) -> impl Iterator<Item = &str> {
    let whole = path.strip_suffix('/').unwrap_or(path);
    let segment = whole.bytes().rposition(|b| b == b'/').map_or(0, |slash| slash + 1);
    let dots = |(at, byte): (usize, u8)| (byte == b'.' && at >= segment).then_some(at);
    let first = whole.bytes().enumerate().skip(segment).find_map(dots);
    let last = whole.bytes().rposition(|b| b == b'.').filter(|at| *at >= segment);
    [first, last.filter(|last| Some(*last) != first)].into_iter().flatten().filter_map(|at| whole.get(..at))
}

/// All routes, in order, compiled for matching.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    routes: Vec<Route>, // INVARIANT: at most ROUTES_MAX
    root: Node,
    format_extensions: bool,
}

impl RouteTable {
    /// Compiles the routes; also returns the indices of those that no request can reach because earlier ones match first.
    pub(crate) fn compile(routes: Vec<Route>, rules: PathRules) -> (Self, Vec<usize>) {
        let mut root = Node::default();
        let mut unreachable = Vec::new();
        for (at, route) in routes.iter().enumerate() {
            let segments = route.pattern.folded_segments(rules);
            if route.methods.is_subset_of(root.covering(&segments)) {
                unreachable.push(at);
            }
            root.insert(&segments, RouteIndex::of(at), route.methods);
        }
        (Self { routes, root, format_extensions: rules.format_extensions }, unreachable)
    }

    /// The routes, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Route] {
        &self.routes
    }

    /// Finds the first route that matches the path and the method.
    #[must_use]
    pub fn find(&self, path: &CanonicalPath<'_>, method: MethodIndex) -> Found<'_> {
        let plain = self.search(path.normalized(), method, Parameters::Kept);
        if path.has_parameters() && plain != self.search(path.normalized(), method, Parameters::Stripped) {
            return Found::Ambiguous(PathError::Parameters);
        }
        if self.format_extensions
            && without_extension(path.normalized())
                .any(|path| plain != self.search(path, method, Parameters::Stripped))
        {
            return Found::Ambiguous(PathError::Extension);
        }
        match plain.first.and_then(|index| self.routes.get(index.get())) {
            Some(route) => Found::Route(route),
            None if plain.methods.is_empty() => Found::Default,
            None => Found::MethodNotAllowed(plain.methods),
        }
    }

    /// Whether the same rule applies to a path with either method.
    #[must_use]
    pub(crate) fn is_same_rule(
        &self,
        path: &CanonicalPath<'_>,
        method: MethodIndex,
        other: MethodIndex,
    ) -> bool {
        self.find(path, method).is_same(&self.find(path, other))
    }

    /// Whether the same rule applies to either path.
    #[must_use]
    pub(crate) fn is_same_rule_for(
        &self,
        path: &CanonicalPath<'_>,
        other: &CanonicalPath<'_>,
        method: MethodIndex,
    ) -> bool {
        self.find(path, method).is_same(&self.find(other, method))
    }

    fn search(&self, path: &str, method: MethodIndex, parameters: Parameters) -> Matches {
        let mut matches = Matches::new(method);
        let rest = path.strip_prefix('/').filter(|rest| !rest.is_empty());
        self.root.search(rest, parameters, &mut matches);
        matches
    }
}
