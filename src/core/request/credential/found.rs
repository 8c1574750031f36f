//! What the sources of a request contain, before it is decided which of it is the credential.

use alloc::vec::Vec;

use super::basic::prefix_count;
use super::{CredentialError, CredentialText};
use crate::key::KeyPrefix;

/// The content of `Authorization`.
pub(super) enum InAuthorization<'a> {
    /// Nothing, or a scheme without a credential.
    Nothing,
    /// A credential with the prefix of the gate's keys.
    Key(CredentialText<'a>),
    /// A key of the gate in a wrong form.
    Malformed(CredentialError),
    /// Something else; `is_source`: its scheme is a source, so that it could be meant for the gate; then `candidate` if it can be read.
    Foreign { value: &'a str, candidate: Option<CredentialText<'a>>, is_source: bool },
}

/// The content of the sources other than `Authorization`.
#[derive(Default)]
pub(super) struct Others<'a> {
    /// A text that contains the prefix of the gate's keys.
    pub(super) own: Option<CredentialText<'a>>,
    /// The texts without it.
    pub(super) foreign: Vec<CredentialText<'a>>,
    /// A key in a wrong form. INVARIANT: then `own` is `None`
    pub(super) malformed: Option<CredentialError>,
}

impl<'a> Others<'a> {
    pub(super) fn add(
        &mut self,
        prefix: &KeyPrefix,
        text: CredentialText<'a>,
        malformed: Option<CredentialError>,
    ) -> Result<(), CredentialError> {
        if malformed.is_none() && prefix_count(text.expose(), prefix) == 0 {
            self.foreign.push(text);
            return Ok(());
        }
        if self.malformed.is_some() || (malformed.is_some() && self.own.is_some()) {
            return Err(CredentialError::Different);
        }
        match malformed {
            Some(error) => self.malformed = Some(error),
            None => self.own = at_most_one(self.own.take(), Some(text))?,
        }
        Ok(())
    }

    /// The one credential: the key of the gate, or what all foreign texts are. `is_second_key`: a foreign one could be a key.
    pub(super) fn credential(
        self,
        is_second_key: bool,
    ) -> Result<Option<CredentialText<'a>>, CredentialError> {
        if self.own.is_some() {
            return if is_second_key { Err(CredentialError::Different) } else { Ok(self.own) };
        }
        self.foreign.into_iter().try_fold(None, |found, text| at_most_one(found, Some(text)))
    }
}

/// The credential of two sources, of which one is empty or both are equal.
pub(super) fn at_most_one<'a>(
    first: Option<CredentialText<'a>>,
    second: Option<CredentialText<'a>>,
) -> Result<Option<CredentialText<'a>>, CredentialError> {
    match (first, second) {
        (Some(first), Some(second)) if !first.is_same(&second) => Err(CredentialError::Different),
        (first, second) => Ok(first.or(second)),
    }
}
