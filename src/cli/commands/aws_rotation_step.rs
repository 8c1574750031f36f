//! `keygate aws-rotation-step`: the steps in which AWS Secrets Manager rotates a secret, for one that holds a key.
//!
//! The contract is that of AWS's rotation functions: a step may be called again, whatever became of it before; the version
//! that is made is the token; nothing but the last step changes what the secret's readers get.

use std::slice;

use keygate_core::key::digest::{Digest, ImportedKey};
use keygate_core::key::pepper::{DigestMatch, Peppers};
use keygate_core::key::{Key, KeyId, KeyPrefix};
use keygate_core::record::Record;
use keygate_core::time::UnixSeconds;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::{AwsRotationStepArgs, RotationStep};
use crate::context::{self, Context};
use crate::entry::{self, Entry};
use crate::fault::{Fault, Outcome};
use crate::fields;
use crate::key_source::new_key;
use crate::places::aws::{self, AwsSecret, CURRENT, Described, PENDING};
use crate::revision;
use crate::rotation::Succession;
use crate::secrets;
use crate::standing::Standing;
use crate::static_keys::StaticKeys;
use crate::store::{self, Store};
use crate::time::utc;
use crate::wrangler_toml::WranglerToml;

/// The result, as `--json` prints it.
#[derive(Serialize)]
struct Done {
    step: &'static str,
    /// Whether there was nothing left to do.
    already: bool,
    /// The new key.
    id: String,
    replaces: Option<String>,
    /// The first second at which the old key is no longer good, once it has one.
    old_not_after: Option<u64>,
}

/// What the steps work on.
struct Rotation<'r> {
    context: &'r Context,
    args: &'r AwsRotationStepArgs,
    config: WranglerToml,
    prefix: KeyPrefix,
    store: Box<dyn Store>,
    secret: AwsSecret,
    described: Described,
    /// The token's version is AWSCURRENT already: the last step was begun.
    is_current: bool,
    doing: String,
}

/// Does one step.
pub(crate) fn run(context: &Context, args: &AwsRotationStepArgs) -> Outcome<()> {
    let config = context.config()?;
    let store = context::store(&config, &args.store)?;
    let doing = format!("cannot do the rotation step {}", name(args.step));
    let secret = aws::open(&args.secret_id)?;
    let described = secret.describe(&doing)?;
    let is_current = judge(&described, &args.token, &doing)?;
    let prefix = config.key_prefix()?;
    let rotation = Rotation { context, args, config, prefix, store, secret, described, is_current, doing };
    let done = match args.step {
        RotationStep::Finish => rotation.finish()?,
        // As AWS's own functions: what is current was created, set and tested.
        _ if is_current => rotation.done(true, rotation.new_id()?, None, None),
        RotationStep::Create => rotation.create()?,
        RotationStep::Set => rotation.set()?,
        RotationStep::Test => rotation.test()?,
    };
    let text = format!("{}: {}{}", done.step, done.id, if done.already { ", already done" } else { "" });
    context.out.result(&done, text)
}

fn name(step: RotationStep) -> &'static str {
    match step {
        RotationStep::Create => "createSecret",
        RotationStep::Set => "setSecret",
        RotationStep::Test => "testSecret",
        RotationStep::Finish => "finishSecret",
    }
}

/// Whether the token's version is current already; it must be that, or pending.
fn judge(described: &Described, token: &str, doing: &str) -> Outcome<bool> {
    let fault = |problem: &str, remedy: &str| Err(Fault::failed(format!("{doing}: {problem}"), remedy));
    if !described.rotation_enabled {
        return fault(
            "rotation is not turned on for the secret",
            "turn it on (`aws secretsmanager rotate-secret`); without AWS's rotation use `keygate rotate`",
        );
    }
    let Some(labels) = described.labels(token) else {
        return fault(
            "the secret has no version of this token",
            "give the ClientRequestToken of the event that Secrets Manager sent, unchanged",
        );
    };
    let has = |label: &str| labels.iter().any(|own| own == label);
    if has(CURRENT) {
        return Ok(true);
    }
    if has(PENDING) {
        return Ok(false);
    }
    fault(
        "the version of this token is not AWSPENDING",
        "another rotation has begun since; let the steps of that one run",
    )
}

impl Rotation<'_> {
    /// Makes a key and puts it into the secret, unless an earlier call did.
    fn create(&self) -> Outcome<Done> {
        let old_id = self.old_id()?;
        if let Some(text) = self.new_text()? {
            return Ok(self.done(true, self.key(&text)?.id(), Some(old_id), None));
        }
        let peppers = self.peppers()?;
        let key = new_key(&self.prefix, &peppers.current)?;
        // A key that cannot follow the old one is not made.
        let digest = peppers.current.digest(&key.as_presented());
        self.succession(old_id, key.id(), digest)?;
        self.secret.put_pending(&self.args.token, key.reveal(), &self.doing)?;
        Ok(self.done(false, key.id(), Some(old_id), None))
    }

    /// Writes the record of the key that waits in the secret, unless an earlier call did.
    fn set(&self) -> Outcome<Done> {
        let old_id = self.old_id()?;
        let text = self.pending_text()?;
        let key = self.key(&text)?;
        // The pepper before is on its way out, and the new key would go with it.
        let peppers = Peppers { previous: None, ..self.peppers()? };
        if !peppers.tag_matches(&key) {
            return Err(self.fault(
                "the key that is AWSPENDING was made with another pepper",
                "give the pepper that createSecret was given",
            ));
        }
        if let Some(stored) = self.store.entry(&key.id().kv_name())? {
            self.judge_record(&entry::read(key.id(), &stored.value)?, &key, &peppers)?;
            return Ok(self.done(true, key.id(), Some(old_id), None));
        }
        let digest = peppers.current.digest(&key);
        let Succession { new, .. } = self.succession(old_id, key.id(), digest)?;
        let revision = revision::next(&*self.store, None, self.context.operator.as_deref());
        self.store.write(&[Entry::of(&new, revision)?])?;
        Ok(self.done(false, key.id(), Some(old_id), None))
    }

    /// Makes sure that the gate will take the key that waits.
    fn test(&self) -> Outcome<Done> {
        let text = self.pending_text()?;
        let key = self.key(&text)?;
        let (record, _) = store::record(&*self.store, key.id())?;
        self.judge_record(&record, &key, &self.peppers()?)?;
        Ok(self.done(false, key.id(), record.replaces, None))
    }

    /// Makes the new key what readers get, then gives the old key its end.
    fn finish(&self) -> Outcome<Done> {
        let new_id = self.new_id()?;
        // A key without a record must not become current.
        let (new, _) = store::record(&*self.store, new_id)?;
        if !self.is_current {
            self.judge_standing(&new)?;
            self.secret.make_current(&self.args.token, self.described.version(CURRENT), &self.doing)?;
        }
        let Some(old_id) = new.replaces else {
            return Ok(self.done(self.is_current, new_id, None, None));
        };
        let (already, end) = self.end(old_id, &new).map_err(|fault| {
            let remedy = format!("{}; then run this step again", fault.remedy());
            fault.and(format!("{new_id} is {CURRENT}, and the old key {old_id} still has no new end"), remedy)
        })?;
        if let Some(end) = end {
            self.context.out.note(format_args!("old key {old_id} stops working at {}", utc(end)));
        }
        Ok(self.done(already && self.is_current, new_id, Some(old_id), end))
    }

    /// Gives the old record its end, unless it has one or is no longer in use.
    fn end(&self, old_id: KeyId, new: &Record) -> Outcome<(bool, Option<UnixSeconds>)> {
        let (old, seen) = store::record(&*self.store, old_id)?;
        let standing = Standing::of(old.state, old.not_before, old.not_after, self.context.now);
        if old.replaced_by == Some(new.id) || matches!(standing, Standing::Revoked | Standing::Expired) {
            return Ok((true, old.not_after));
        }
        self.judge_standing(new)?;
        let Succession { old, .. } = self.succession(old_id, new.id, new.digest.clone())?;
        let revision = revision::next(&*self.store, Some(&seen), self.context.operator.as_deref());
        let entry = Entry::of(&old, revision)?;
        revision::unchanged(&*self.store, &entry.key, &seen)?;
        self.store.write(slice::from_ref(&entry))?;
        StaticKeys::of(&self.config, self.args.store.remote, self.context.now)
            .warn(self.context.out, &[&old]);
        Ok((false, old.not_after))
    }

    fn succession(&self, old_id: KeyId, new_id: KeyId, digest: Digest) -> Outcome<Succession> {
        let (old, _) = store::record(&*self.store, old_id)?;
        let AwsRotationStepArgs { expires, grace, .. } = *self.args;
        Succession::of(&old, new_id, digest, expires, grace.seconds(), self.context.now)
    }

    /// Whether the gate takes the key by this record.
    fn judge_record(&self, record: &Record, key: &Key<'_>, peppers: &Peppers) -> Outcome<()> {
        let id = record.id;
        match peppers.digest_matches(key, &record.digest) {
            DigestMatch::Yes => {}
            DigestMatch::No => {
                return Err(self.fault(
                    &format!("the record of {id} is that of another key"),
                    &format!("see `keygate show {id}`; `aws secretsmanager cancel-rotate-secret`, then rotate again"),
                ));
            }
            DigestMatch::UnknownPepper(_) => {
                return Err(self.fault(
                    &format!("the record of {id} depends on another pepper"),
                    "give the pepper that the gate has as its secret",
                ));
            }
        }
        self.judge_standing(record)
    }

    /// Whether the new key is in use: readers are not given another, and the old key does not end for another.
    fn judge_standing(&self, record: &Record) -> Outcome<()> {
        let id = record.id;
        match Standing::of(record.state, record.not_before, record.not_after, self.context.now) {
            Standing::Active => Ok(()),
            standing => Err(self.fault(
                &format!("the new key {id} is {}", standing.as_str()),
                &format!(
                    "see `keygate show {id}`; `aws secretsmanager cancel-rotate-secret`, then rotate again"
                ),
            )),
        }
    }

    /// The old key: the one that `--key` names, or that the secret holds.
    fn old_id(&self) -> Outcome<KeyId> {
        let named = self.args.key.as_deref().map(fields::id).transpose()?;
        let current = self.secret.text(None, CURRENT, &self.doing)?;
        let held = current.as_ref().and_then(|(text, _)| self.id_in(text.trim_ascii()));
        match (named, held) {
            (Some(named), Some(held)) if named != held => Err(Fault::usage(
                format!("the secret holds the key {held}, not {named}"),
                "leave --key out; it is for a secret that holds no key yet",
            )),
            (Some(id), _) | (None, Some(id)) => Ok(id),
            (None, None) => Err(self.fault(
                "the secret holds no key",
                "name the key to be replaced with `--key ID`, or put it there (`keygate issue`)",
            )),
        }
    }

    /// The id of a key of the gate's own, or of an imported one.
    fn id_in(&self, text: &str) -> Option<KeyId> {
        if self.prefix.strip(text).is_some() {
            return Key::parse(text, &self.prefix).ok().map(|key| key.id());
        }
        let id = ImportedKey::parse(text)?.id();
        // What looks like a key may be a placeholder; a record says that it is none.
        matches!(self.store.entry(&id.kv_name()), Ok(Some(_))).then_some(id)
    }

    fn new_text(&self) -> Outcome<Option<Zeroizing<String>>> {
        let label = if self.is_current { CURRENT } else { PENDING };
        Ok(self.secret.text(Some(&self.args.token), label, &self.doing)?.map(|(text, _)| text))
    }

    fn pending_text(&self) -> Outcome<Zeroizing<String>> {
        self.new_text()?.ok_or_else(|| {
            self.fault("the version of this token holds nothing yet", "run the step createSecret first")
        })
    }

    fn new_id(&self) -> Outcome<KeyId> {
        let text = self.pending_text()?;
        Ok(self.key(&text)?.id())
    }

    fn key<'t>(&self, text: &'t str) -> Outcome<Key<'t>> {
        Key::parse(text.trim_ascii(), &self.prefix).map_err(|e| {
            self.fault(
                &format!("what the secret holds for this token is no key of this gate: {}", e.as_str()),
                "see that --config and --env name the gate that the key is for",
            )
        })
    }

    fn peppers(&self) -> Outcome<Peppers> {
        Ok(secrets::peppers(&self.args.pepper, &self.config, self.args.store.remote)?.peppers)
    }

    fn fault(&self, problem: &str, remedy: &str) -> Fault {
        Fault::failed(format!("{}: {problem}", self.doing), remedy)
    }

    fn done(&self, already: bool, id: KeyId, replaces: Option<KeyId>, end: Option<UnixSeconds>) -> Done {
        Done {
            step: name(self.args.step),
            already,
            id: id.to_string(),
            replaces: replaces.map(|id| id.to_string()),
            old_not_after: end.map(Into::into),
        }
    }
}
