//! The gate of a rotation with delivery: from the options, or from the journal of an earlier run.

use keygate_core::key::pepper::{Pepper, Peppers};
use keygate_core::key::{KeyId, KeyPrefix, PepperId};
use keygate_core::record::Record;
use keygate_delivery::rotation::{self, GateRef, Journal, KeyRecords as _, RecordsRef, Rotation, Targets};
use keygate_delivery::{CommandEnvironment, Holder, StoreUri};

use crate::args::{PepperArgs, StoreArgs};
use crate::commands::rotate::RotateArgs;
use crate::commands::rotate::pepper::{self, AtHand};
use crate::context::{self, Context};
use crate::error::{Error, Outcome};
use crate::key_records::StoreRecords;
use crate::output::Output;
use crate::secrets;
use crate::staleness::Staleness;
use crate::static_keys::StaticKeys;
use crate::store::Store;
use crate::time;
use crate::usage_source::{LastUsed, UsageArgs};
use crate::wrangler_config::WranglerConfig;

/// Everything about one gate that a rotation needs.
pub(super) struct Gate {
    pub(super) store: Box<dyn Store>,
    pub(super) staleness: Staleness,
    pub(super) static_keys: StaticKeys,
    pub(super) reference: GateRef,
    /// Which pepper new keys are made with, and where it was found.
    pub(super) made_with: String,
    at_hand: AtHand,
    config: WranglerConfig,
    args: StoreArgs,
    prefix: KeyPrefix,
    peppers: Peppers,
    operator: Option<String>,
}

impl Gate {
    /// The gate that the options name.
    ///
    /// # Errors
    /// Something of it is missing, or cannot be read.
    pub(super) fn of_options(context: &Context, args: &StoreArgs, pepper: &PepperArgs) -> Outcome<Self> {
        let config = context.config()?;
        let store = context::store(&config, args)?;
        let records = if let Some((account, namespace)) = store.deployed_at() {
            RecordsRef::Remote { account: account.to_owned(), namespace: namespace.to_owned() }
        } else {
            // Absolute: a resumption may be started elsewhere.
            let absolute = args.persist_to.as_deref().map(std::path::absolute).transpose();
            let persist_to = absolute.map_err(|e| {
                Error::usage(
                    format!("cannot use --persist-to: {e}"),
                    "name the folder that `wrangler dev --persist-to` was given",
                )
            })?;
            RecordsRef::Local { persist_to }
        };
        let environment = config.environment().map(str::to_owned);
        let reference = GateRef { config: config.path().to_owned(), environment, store: records };
        Self::new(context, reference, config, args.clone(), store, pepper)
    }

    /// The gate that a journal names.
    ///
    /// # Errors
    /// As [`Gate::of_options`].
    pub(super) fn of_reference(context: &Context, reference: GateRef, pepper: &PepperArgs) -> Outcome<Self> {
        let config = context.of_gate(&reference.config, reference.environment.as_deref()).config();
        // Not what reading it says: a resumption does not go by --config.
        let config = config.map_err(|error| {
            Error::failed(
                format!("the journal names the gate of {}: {}", reference.config.display(), error.problem()),
                "put that file back where it was when the rotation was begun, on the machine that began it; else go on by hand, as docs/operations.md says (An interrupted rotation)",
            )
        })?;
        let args = match &reference.store {
            RecordsRef::Local { persist_to } => {
                StoreArgs { persist_to: persist_to.clone(), ..StoreArgs::default() }
            }
            RecordsRef::Remote { account, namespace } => StoreArgs {
                remote: true,
                account: Some(account.clone()),
                namespace: Some(namespace.clone()),
                ..StoreArgs::default()
            },
        };
        let store = context::store(&config, &args)?;
        Self::new(context, reference, config, args, store, pepper)
    }

    fn new(
        context: &Context,
        reference: GateRef,
        config: WranglerConfig,
        args: StoreArgs,
        store: Box<dyn Store>,
        pepper: &PepperArgs,
    ) -> Outcome<Self> {
        let found = secrets::peppers(pepper, &config, args.remote)?;
        Ok(Self {
            store,
            prefix: config.key_prefix()?,
            at_hand: AtHand {
                current: found.peppers.current.id(),
                previous: found.peppers.previous.as_ref().map(Pepper::id),
                source: found.source.to_string(),
                is_not_local: found.not_a_local_one,
            },
            made_with: found.made_with(),
            peppers: found.peppers,
            staleness: Staleness::of(&config, args.remote),
            static_keys: StaticKeys::of(&config, args.remote, context.now),
            reference,
            config,
            args,
            operator: context.operator.clone(),
        })
    }

    /// Refuses a pepper that is not the gate's, as far as can be told, for the successors of these keys.
    ///
    /// # Errors
    /// As [`pepper::check`].
    pub(super) fn check_pepper(&self, args: &RotateArgs, records: &[&Record]) -> Outcome<()> {
        if args.pepper_override.new_pepper {
            return Ok(());
        }
        pepper::check(records, &self.at_hand, &*self.store)
    }

    /// When a key was last accepted, where usage can be read.
    pub(super) fn last_used(&self, out: Output, usage: &UsageArgs, id: KeyId) -> LastUsed {
        super::last_used(out, &self.config, &self.args, usage, id)
    }

    /// The id of the pepper that new keys are made with.
    pub(super) fn pepper(&self) -> PepperId {
        self.at_hand.current
    }

    /// Its records, written by who runs the command.
    pub(super) fn records(&self) -> StoreRecords<'_> {
        StoreRecords::new(&*self.store, self.operator.as_deref())
    }

    /// The gate as a rotation knows it.
    pub(super) fn of_records<'g>(&'g self, records: &'g StoreRecords<'g>) -> rotation::Gate<'g> {
        rotation::Gate { records, prefix: &self.prefix, peppers: &self.peppers, clock: || time::now() }
    }

    /// The rotation of a journal.
    ///
    /// # Errors
    /// The journal cannot be worked by, or the old record cannot be read.
    pub(super) fn rotation<'g>(
        &'g self,
        records: &'g StoreRecords<'g>,
        journal: Journal,
    ) -> Outcome<Rotation<'g>> {
        let notes = journal.notes();
        let uris = [notes.stores(), notes.left_out()].concat();
        // Both records have the same subject and name; either may have been deleted.
        let mut holder = records.find(notes.old()?)?;
        if holder.is_none() {
            holder = notes.new_id()?.map(|new| records.find(new)).transpose()?.flatten();
        }
        let environment = holder.as_ref().map_or_else(secrets::command_environment, environment);
        let targets = Targets::of_journal(&uris, &environment)?;
        Rotation::new(self.of_records(records), targets, journal)
    }
}

/// The secret stores, for the key of `record`.
///
/// # Errors
/// One cannot be opened.
pub(super) fn targets(uris: &[StoreUri], record: &Record) -> Outcome<Targets> {
    Targets::open(uris, &environment(record))
}

fn environment(record: &Record) -> CommandEnvironment {
    secrets::command_environment().of_holder(&Holder::of(record))
}
