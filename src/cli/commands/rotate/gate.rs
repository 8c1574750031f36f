//! The gate of a rotation with delivery: from the options, or from the journal of an earlier run.

use keygate_core::key::KeyPrefix;
use keygate_core::key::pepper::Peppers;
use keygate_core::record::Record;

use crate::args::{PepperArgs, StoreArgs};
use crate::cloudflare;
use crate::context::{self, Context};
use crate::fault::{Fault, Outcome};
use crate::places::{self, Holder, PlaceUri};
use crate::rotation::{GateRef, Ground, Journal, Rotation, StoreRef, Targets};
use crate::secrets;
use crate::staleness::Staleness;
use crate::static_keys::StaticKeys;
use crate::store::{self, Store};
use crate::time;

/// Everything about one gate that a rotation needs.
pub(super) struct Gate {
    pub(super) store: Box<dyn Store>,
    pub(super) prefix: KeyPrefix,
    pub(super) peppers: Peppers,
    pub(super) staleness: Staleness,
    pub(super) static_keys: StaticKeys,
    pub(super) reference: GateRef,
    /// Which pepper new keys are made with, and where it was found.
    pub(super) made_with: String,
    operator: Option<String>,
}

impl Gate {
    /// The gate that the options name.
    ///
    /// # Errors
    /// Something of it is missing, or cannot be read.
    pub(super) fn of_options(context: &Context, args: &StoreArgs, pepper: &PepperArgs) -> Outcome<Self> {
        let config = context.config()?;
        let store = if args.remote {
            StoreRef::Remote {
                account: cloudflare::account(args.account.as_deref(), &config)?,
                namespace: cloudflare::namespace(args.namespace.as_deref(), &config)?,
            }
        } else {
            // Absolute: a resumption may be started elsewhere.
            let absolute = args.persist_to.as_deref().map(std::path::absolute).transpose();
            StoreRef::Local {
                persist_to: absolute.map_err(|e| {
                    Fault::usage(
                        format!("cannot use --persist-to: {e}"),
                        "name the folder that `wrangler dev --persist-to` was given",
                    )
                })?,
            }
        };
        let environment = config.environment().map(str::to_owned);
        Self::of_reference(context, GateRef { config: config.path().to_owned(), environment, store }, pepper)
    }

    /// The gate that a journal names.
    ///
    /// # Errors
    /// As [`Gate::of_options`].
    pub(super) fn of_reference(context: &Context, reference: GateRef, pepper: &PepperArgs) -> Outcome<Self> {
        let config = context.of_gate(&reference.config, reference.environment.as_deref()).config();
        // Not what reading it says: a resumption does not go by --config.
        let config = config.map_err(|fault| {
            Fault::failed(
                format!("the journal names the gate of {}: {}", reference.config.display(), fault.problem()),
                "put that file back where it was when the rotation was begun, on the machine that began it; else go on by hand, as docs/operations.md says (An interrupted rotation)",
            )
        })?;
        let args = match &reference.store {
            StoreRef::Local { persist_to } => {
                StoreArgs { persist_to: persist_to.clone(), ..StoreArgs::default() }
            }
            StoreRef::Remote { account, namespace } => StoreArgs {
                remote: true,
                account: Some(account.clone()),
                namespace: Some(namespace.clone()),
                ..StoreArgs::default()
            },
        };
        let found = secrets::peppers(pepper, &config, args.remote)?;
        Ok(Self {
            store: context::store(&config, &args)?,
            prefix: config.key_prefix()?,
            made_with: format!("made with pepper {} from {}", found.peppers.current.id(), found.source),
            peppers: found.peppers,
            staleness: Staleness::of(&config, args.remote),
            static_keys: StaticKeys::of(&config, args.remote, context.now),
            reference,
            operator: context.operator.clone(),
        })
    }

    /// The places, for the key of `record`.
    ///
    /// # Errors
    /// One cannot be opened.
    pub(super) fn targets(uris: &[PlaceUri], record: &Record) -> Outcome<Targets> {
        let holder = Holder::of(record);
        Targets::open(uris, |uri| places::open_for(uri, &holder))
    }

    /// The rotation of a journal.
    ///
    /// # Errors
    /// The journal cannot be worked by, or the old record cannot be read.
    pub(super) fn rotation(&self, journal: Journal) -> Outcome<Rotation<'_>> {
        let uris: Vec<PlaceUri> =
            journal.notes.places.iter().map(|place| PlaceUri::parse(&place.uri)).collect::<Outcome<_>>()?;
        let (old, _) = store::record(&*self.store, crate::fields::id(&journal.notes.old)?)?;
        Rotation::new(self.ground(), Self::targets(&uris, &old)?, journal)
    }

    fn ground(&self) -> Ground<'_> {
        Ground {
            store: &*self.store,
            prefix: &self.prefix,
            peppers: &self.peppers,
            operator: self.operator.as_deref(),
            clock: time::now,
        }
    }
}
