//! Deciding an operation's requirements, step by step and without I/O.
//!
//! [`Evaluation::step`] goes as far as it can with what it was given and then says what it needs:
//! data, or the rows of a look-up. Whoever drives it hands those in and steps again. A step
//! allocates nothing.

use crate::{
    check::{Check, Facts, Row},
    clock::Timestamp,
    data::{Data, DataError},
    live::Session,
    operation::{App, Attached, Operation},
    requirement::{Checks, Class, MAX_SLOTS, Pass, Slot, Truth, pass},
    target::Target,
    wire::Call,
};

/// What an evaluation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All requirements hold.
    Allow,
    /// The requirement at this place among the operation's does not hold.
    Deny(usize),
    /// The requirement at this place is the first that cannot be told.
    Undetermined(usize),
    /// The data of the call is needed; see [`Evaluation::read_data`].
    NeedData,
    /// The rows of this check are needed; see [`Evaluation::missing_lookups`].
    RunLookups(Slot),
    /// The body is needed, which the edge has not read yet. Nothing goes further without it.
    NeedBody,
}

/// The evaluation of one call's requirements.
#[derive(Debug)]
pub struct Evaluation<'a> {
    app: &'a App,
    operation: &'a Operation,
    call: &'a Call,
    path: &'a str,
    session: Option<&'a Session>,
    now: Timestamp,
    data: Data<'a>,
    has_data: bool,
    rows: Vec<Row>,
    class: Class,
    values: [Option<Truth>; MAX_SLOTS],
}

impl<'a> Evaluation<'a> {
    /// Begins to evaluate the requirements of `operation` for a call to `path`.
    #[inline]
    #[must_use]
    pub const fn new(
        app: &'a App,
        operation: &'a Operation,
        call: &'a Call,
        path: &'a str,
        session: Option<&'a Session>,
        now: Timestamp,
    ) -> Self {
        Self {
            app,
            operation,
            call,
            path,
            session,
            now,
            data: Data::none(),
            has_data: false,
            rows: Vec::new(),
            class: Class::Session,
            values: [None; MAX_SLOTS],
        }
    }

    /// Goes as far as it can.
    pub fn step(&mut self) -> Step {
        loop {
            let (kind, path) = (&self.call.kind, self.path);
            let attached = &self.operation.requirements;
            let holds = |attached: &&Attached| attached.applies.to(kind, path);
            let applying = attached
                .iter()
                .filter(holds)
                .map(|attached| &attached.requirement);
            let mut values = Values {
                app: self.app,
                operation: self.operation,
                facts: Facts {
                    session: self.session,
                    call: self.call,
                    path,
                    now: self.now,
                    data: self.has_data.then_some(&self.data),
                    rows: &self.rows,
                },
                values: &mut self.values,
            };
            let place = |applying: usize| {
                let mut places = attached.iter().enumerate().filter(|(_, a)| holds(a));
                places.nth(applying).map_or(applying, |(place, _)| place)
            };
            match pass(applying, self.class, &mut values) {
                Pass::Allow => return Step::Allow,
                Pass::Deny(index) => return Step::Deny(place(index)),
                Pass::Undetermined(index) => return Step::Undetermined(place(index)),
                Pass::Open(Some(slot)) if self.waits_for_body(slot) => return Step::NeedBody,
                Pass::Open(Some(slot)) => return Step::RunLookups(slot),
                Pass::Open(None) if self.class == Class::Session => {
                    self.class = Class::Data;
                    if !self.has_data {
                        return Step::NeedData;
                    }
                }
                Pass::Open(None) => self.class = Class::Lookup,
            }
        }
    }

    fn waits_for_body(&self, slot: Slot) -> bool {
        self.check(slot)
            .is_some_and(|check| waits_for_body(check, &self.facts()))
    }

    /// Reads the data of the call, unless it was read before; `target` is that of a wire whose targets hold data, and
    /// `parameter` gives the parameters of its path.
    ///
    /// # Errors
    ///
    /// Returns [`DataError`] when the JSON is malformed, or two places disagree.
    pub fn read_data<'p: 'a>(
        &mut self,
        target: Option<&Target<'a>>,
        parameter: impl Fn(&str) -> Option<&'p str>,
    ) -> Result<(), DataError> {
        let (fields, call) = (&self.operation.fields, self.call);
        let (json, complete) = (&call.data_json, call.data_complete);
        if self.has_data {
            return Ok(());
        }
        self.data.read(fields, target, parameter, json, complete)?;
        self.has_data = true;
        Ok(())
    }

    /// The look-ups of a check that were not run yet, by their places in the app.
    #[must_use]
    pub fn missing_lookups(&self, slot: Slot) -> Vec<usize> {
        let missing = |index: &usize| matches!(self.rows.get(*index), None | Some(Row::Missing));
        self.check(slot)
            .map(|check| check.lookups().iter().copied().filter(missing).collect())
            .unwrap_or_default()
    }

    /// Hands the outcome of a look-up in.
    pub fn give_row(&mut self, lookup: usize, row: Row) {
        if self.rows.is_empty() {
            self.rows = vec![Row::Missing; self.app.lookups.len()];
        }
        if let Some(place) = self.rows.get_mut(lookup) {
            *place = row;
        }
    }

    /// The facts as they stand.
    #[must_use]
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            session: self.session,
            call: self.call,
            path: self.path,
            now: self.now,
            data: self.has_data.then_some(&self.data),
            rows: &self.rows,
        }
    }

    /// The check in a slot.
    #[must_use]
    pub fn check(&self, slot: Slot) -> Option<&'a Check> {
        let index = self.operation.checks.get(usize::from(slot.0))?;
        self.app.checks.get(*index)
    }

    /// The value of a check, where it was worked out.
    #[must_use]
    pub fn value(&self, slot: Slot) -> Option<Truth> {
        self.values.get(usize::from(slot.0)).copied().flatten()
    }

    /// Works a check out though nothing depends on it; `None` while its rows are missing.
    pub fn work_out(&mut self, slot: Slot) -> Option<Truth> {
        let value = self
            .value(slot)
            .or_else(|| self.check(slot)?.truth(&self.facts()))?;
        if let Some(place) = self.values.get_mut(usize::from(slot.0)) {
            *place = Some(value);
        }
        Some(value)
    }
}

/// The values of an operation's checks, each worked out once.
struct Values<'v, 'a> {
    app: &'a App,
    operation: &'a Operation,
    facts: Facts<'v>,
    values: &'v mut [Option<Truth>; MAX_SLOTS],
}

impl Checks for Values<'_, '_> {
    fn value(&mut self, slot: Slot) -> Option<Truth> {
        let place = self.values.get_mut(usize::from(slot.0))?;
        if place.is_none() {
            let index = self.operation.checks.get(usize::from(slot.0))?;
            let check = self.app.checks.get(*index)?;
            if waits_for_body(check, &self.facts) {
                return None;
            }
            *place = check.truth(&self.facts);
        }
        *place
    }
}

/// Whether a check reads what may stand in a body that was not read yet. The pass stops there, so
/// that the reason is the one that it would be with the whole body (R19).
fn waits_for_body(check: &Check, facts: &Facts<'_>) -> bool {
    let Some(data) = facts.data.filter(|_| facts.call.data_pending) else {
        return false;
    };
    let is_false_already = check.needs_session() && facts.session.is_none();
    !is_false_already
        && match check.is_native() {
            true => data.is_any_cut(),
            false => check.fields().iter().any(|field| data.is_cut(*field)),
        }
}
