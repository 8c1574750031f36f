//! What `aws-rotation-step` takes.

use clap::{Args, ValueEnum};

use crate::args::{PepperArgs, StoreArgs};
use crate::time::{Span, When};

/// What stands below its help.
pub(super) const HELP: &str = "\
Steps:
  createSecret  makes a key and puts it into the secret as AWSPENDING
  setSecret     writes its record, with what the present key's record allows
  testSecret    makes sure that the gate will take it
  finishSecret  makes it AWSCURRENT, then gives the old key's record its end

The secret holds the key alone, as text.

Example:
  keygate aws-rotation-step --step createSecret --secret-id \"$ARN\" --token \"$TOKEN\" --remote --pepper-from aws:keygate/pepper";

#[derive(Args, Debug)]
pub(crate) struct AwsRotationStepArgs {
    /// The step: the event's `Step`
    #[arg(long, value_enum)]
    pub(crate) step: RotationStep,
    /// The secret's ARN: the event's `SecretId`
    #[arg(long, value_name = "ARN")]
    pub(crate) secret_id: String,
    /// The new version of the secret: the event's `ClientRequestToken`
    #[arg(long)]
    pub(crate) token: String,
    /// The old key's id, where the secret does not hold a key yet
    #[arg(long, value_name = "ID")]
    pub(crate) key: Option<String>,
    /// How long the old key still works: 24h, 7d, 0
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    pub(crate) grace: Span,
    /// When the new key ends: 90d, 12h, 2027-01-31 (its first second, UTC), an RFC 3339 time, or never
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<When>,
    #[command(flatten)]
    pub(crate) pepper: PepperArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// A step of a rotation, as AWS calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RotationStep {
    #[value(name = "createSecret")]
    Create,
    #[value(name = "setSecret")]
    Set,
    #[value(name = "testSecret")]
    Test,
    #[value(name = "finishSecret")]
    Finish,
}
