//! Responses to refusals that depend on the code alone, prepared once per isolate: copying `Headers` is faster than building them.

use std::cell::RefCell;
use std::collections::HashMap;

use web_sys::ResponseInit;

/// The prepared responses, by `Denial::kind`.
#[derive(Default)]
pub(crate) struct Answers(RefCell<HashMap<u8, Prepared>>);

/// A response without the request id, which belongs between the two parts of the body.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) init: ResponseInit,
    pub(crate) body: [String; 2],
}

impl Answers {
    /// The response of a kind; `prepare` builds it the first time.
    pub(crate) fn get_or_prepare(&self, kind: u8, prepare: impl FnOnce() -> Prepared) -> Prepared {
        self.0.borrow_mut().entry(kind).or_insert_with(prepare).clone()
    }
}
