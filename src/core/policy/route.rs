//! Routes: which rule holds for a path and a method.
//!
//! The rule is the first in the operator's order whose pattern matches the path and whose methods hold the method. It is
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

/// Above any table that a person writes; it bounds the work of an isolate's start.
pub(crate) const ROUTES_MAX: usize = 1000;

/// Who may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody; no key is looked at.
    Public,
    /// Holders of a key that the route accepts.
    Key,
    /// Nobody.
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
}

impl Route {
    /// The pattern as the operator wrote it.
    #[must_use]
    pub fn path(&self) -> &str {
        self.pattern.as_str()
    }

    /// Who may pass.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// The methods that the route is for.
    #[must_use]
    pub fn methods(&self) -> MethodSet {
        self.methods
    }

    /// What a key must hold, all of it.
    #[must_use]
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// Whose keys may pass; empty: everybody's.
    #[must_use]
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// Where the route's requests go, if not to the gate's origin.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Whether `ORIGIN_AUTHORIZATION` goes with the route's requests, if the route says so.
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
}

/// What holds for a path and a method.
#[derive(Clone, Copy, Debug)]
pub enum Found<'t> {
    /// This route.
    Route(&'t Route),
    /// No route names the path: any valid key passes.
    Default,
    /// Routes name the path, but none for the method; these are the methods that they are for.
    MethodNotAllowed(MethodSet),
    /// The path has a second reading, and another rule holds for that.
    Ambiguous(PathError),
}

impl Found<'_> {
    /// Whether both are the same rule, and one that lets requests through.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Route(route), Self::Route(other)) => core::ptr::eq(*route, *other),
            (Self::Default, Self::Default) => true,
            _ => false,
        }
    }
}

/// A path as an origin reads it for which the last segment ends before an extension: at its first dot, or at its last.
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
    /// Compiles the routes; also the places in `routes` of those that no request can ever reach, because earlier ones match first.
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
        let plain = self.search(path.judged(), method, Parameters::Kept);
        if path.has_parameters() && plain != self.search(path.judged(), method, Parameters::Cut) {
            return Found::Ambiguous(PathError::Parameters);
        }
        if self.format_extensions
            && without_extension(path.judged())
                .any(|path| plain != self.search(path, method, Parameters::Cut))
        {
            return Found::Ambiguous(PathError::Extension);
        }
        match plain.first.and_then(|index| self.routes.get(index.get())) {
            Some(route) => Found::Route(route),
            None if plain.methods.is_empty() => Found::Default,
            None => Found::MethodNotAllowed(plain.methods),
        }
    }

    /// Whether the same rule holds for a path with either method.
    #[must_use]
    pub(crate) fn is_same_rule(
        &self,
        path: &CanonicalPath<'_>,
        method: MethodIndex,
        other: MethodIndex,
    ) -> bool {
        self.find(path, method).is_same(&self.find(path, other))
    }

    /// Whether the same rule holds for either path.
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
