//! Why the credential of a request is refused.

use thiserror::Error;

use super::malformed::{SourceKind, Wrapper};

/// Why the credential of a request is refused before it is parsed as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CredentialError {
    /// A credential header has two values.
    #[error("a credential header has two values")]
    RepeatedHeader,
    /// An `Authorization` for the gate has two values.
    #[error("an Authorization for the gate has two values")]
    RepeatedAuthorization,
    /// The query contains the parameter twice.
    #[error("the query contains the credential parameter twice")]
    RepeatedParameter,
    /// Two sources contain different credentials.
    #[error("two credential sources contain different credentials")]
    Different,
    /// An `Authorization` for the origin contains a key of the gate, and there is another credential.
    #[error("an Authorization for the origin contains a key")]
    KeyInForeignAuthorization,
    /// The only credential is a key of the gate, valid or not, in a wrong form.
    #[error("{0} contains a key {1}")]
    Malformed(SourceKind, Wrapper),
}
