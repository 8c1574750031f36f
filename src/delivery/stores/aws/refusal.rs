//! What AWS's refusals mean, and what to do about each.

use std::error::Error as StdError;

use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::config::InTheClear;
use crate::error::Error;
use crate::no_answer::{Peer, causes, is_caused_by, unreachable};
use crate::text::short;

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// What failed if it fails: `cannot …`.
    pub(super) cannot: &'a str,
    pub(super) secret: &'a str,
    pub(super) region: &'a str,
    /// The action that a policy has to allow.
    pub(super) needs: &'static str,
}

impl Asked<'_> {
    /// What an error of the SDK amounts to.
    pub(super) fn error<E>(self, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let Self { cannot, secret, region, needs } = self;
        let named_by = "AWS_REGION, AWS_ENDPOINT_URL";
        if is_caused_by::<InTheClear>(error) {
            return Error::failed(
                format!("{cannot}: the secret would be sent in the clear"),
                "check AWS_ENDPOINT_URL: it must begin with https:// (http:// to this machine alone)",
            );
        }
        if matches!(error, SdkError::TimeoutError(_) | SdkError::DispatchFailure(_)) {
            let name = format!("AWS Secrets Manager in {region}");
            return unreachable(cannot, Peer { name: &name, named_by, own_trust: None }, error);
        }
        let status = error.raw_response().map(|answer| answer.status().as_u16()).unwrap_or_default();
        let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
        let (problem, remedy) = match code {
            "AccessDeniedException" | "AccessDenied" => (
                format!("these credentials may not do this in {region}"),
                format!("allow them {needs} on the secret (and kms:Decrypt, kms:GenerateDataKey on a KMS key of your own)"),
            ),
            "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidSignatureException"
            | "SignatureDoesNotMatch" | "IncompleteSignature" | "MissingAuthenticationToken" => (
                "AWS does not know these credentials".to_owned(),
                "see `aws sts get-caller-identity`: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, and this machine's clock".to_owned(),
            ),
            "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" => (
                "these credentials have expired".to_owned(),
                "get new ones (`aws sso login`, or a new session token), then run the command again".to_owned(),
            ),
            "ResourceNotFoundException" => (
                format!("there is no such secret in {region}"),
                format!("make it: `aws secretsmanager create-secret --region {region} --name {secret}`, or check the name, AWS_REGION and the account"),
            ),
            "DecryptionFailure" | "EncryptionFailure" => (
                "its KMS key cannot be used".to_owned(),
                "allow these credentials kms:Decrypt and kms:GenerateDataKey on it, and see that it is enabled".to_owned(),
            ),
            "InvalidRequestException" if message.contains("delet") => (
                "it is scheduled for deletion".to_owned(),
                format!("keep it: `aws secretsmanager restore-secret --secret-id {secret}`"),
            ),
            "ThrottlingException" | "TooManyRequestsException" => (
                "AWS turns requests away, because there were too many".to_owned(),
                "wait, then run the command again".to_owned(),
            ),
            "LimitExceededException" => (
                "it has too many versions".to_owned(),
                "a version without a label is removed by AWS after a day: wait".to_owned(),
            ),
            "" if (200..300).contains(&status) => (
                "the answer is not one of AWS Secrets Manager".to_owned(),
                "check AWS_ENDPOINT_URL and HTTPS_PROXY".to_owned(),
            ),
            _ if status >= 500 => (
                "AWS Secrets Manager fails".to_owned(),
                "see health.aws.amazon.com, then run the command again".to_owned(),
            ),
            _ => (
                "AWS refused the request".to_owned(),
                format!("see what it said; the credentials need {needs}"),
            ),
        };
        Error::failed(format!("{cannot}: {problem} ({})", words(status, code, message)), remedy)
    }
}

/// The chain of credentials came to nothing.
pub(super) fn no_credentials(error: &(dyn StdError + 'static)) -> Error {
    let cause = causes(error).last().map(ToString::to_string).unwrap_or_default();
    Error::usage(
        format!("there are no AWS credentials ({})", short(&cause)),
        "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws sso login`; on AWS give the job a role",
    )
}

/// What AWS said, short and harmless.
fn words(status: u16, code: &str, message: &str) -> String {
    let said = [code, message].map(short);
    let said = said.iter().filter(|text| !text.is_empty()).map(|text| format!(", {text}"));
    format!("status {status}{}", said.collect::<String>())
}
