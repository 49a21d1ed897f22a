//! Holds our expressions against the `cel` interpreter: where both have a result it is the same.
//!
//! Sources are well typed and made at random over a fixed set of names, some of which are absent.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::{collections::HashMap, fmt::Write, sync::Arc};

use auth_core::{
    expression::{Bindings, Declarations, EvalError, Expression, Root, Type, VariableId},
    value::{Val, Value},
};
use cel::{Context, Env, extensions};
use proptest::prelude::*;

const NAMES: [(&str, &str, Root); 10] = [
    ("session.subject", "string", Root::Session),
    ("session.role", "string", Root::Session),
    ("session.level", "int", Root::Session),
    ("session.groups", "list(string)", Root::Session),
    ("session.active", "bool", Root::Session),
    ("data.id", "string", Root::Data),
    ("data.count", "int", Root::Data),
    ("data.price", "double", Root::Data),
    ("data.numbers", "list(int)", Root::Data),
    ("now", "timestamp", Root::Now),
];

const NOW: i64 = 1_767_225_600;
const TEXTS: [&str; 6] = ["", "a", "b", "admin", " A é", "Editors"];
const INTS: [i64; 7] = [0, 1, 2, -3, 7, i64::MAX, i64::MIN];
const DOUBLES: [f64; 5] = [0.5, 1.0, 2.0, -3.25, 1e10];

/// Decisions drawn one by one; 0 once they run out, which every choice takes to mean "end here".
struct Choices<'c>(std::slice::Iter<'c, u8>);

impl Choices<'_> {
    fn below(&mut self, end: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % end
    }

    fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }
}

/// Writes expressions; `locals` counts the quantifiers around the place.
struct Writer<'c> {
    choices: Choices<'c>,
    locals: usize,
}

impl Writer<'_> {
    fn bool(&mut self, depth: usize) -> String {
        if depth == 0 {
            let leaves = [
                "true",
                "session.active",
                "false",
                "has(session.role)",
                "has(data.id)",
            ];
            return (*self.choices.one(&leaves)).to_owned();
        }
        let less = depth - 1;
        match self.choices.below(14) {
            0 => self.bool(0),
            1 => format!("({} && {})", self.bool(less), self.bool(less)),
            2 => format!("({} || {})", self.bool(less), self.bool(less)),
            3 => format!("!({})", self.bool(less)),
            4 => format!(
                "({} ? {} : {})",
                self.bool(less),
                self.bool(less),
                self.bool(less)
            ),
            5 => format!(
                "({} {} {})",
                self.text(less),
                self.comparison(),
                self.text(less)
            ),
            6 => format!(
                "({} {} {})",
                self.number(less),
                self.comparison(),
                self.number(less)
            ),
            7 => format!(
                "({} {} {})",
                self.instant(less),
                self.comparison(),
                self.instant(less)
            ),
            8 => format!(
                "({} {} {})",
                self.span(less),
                self.comparison(),
                self.span(less)
            ),
            9 => self.membership(less),
            10 => {
                let test = *self.choices.one(&["contains", "startsWith", "endsWith"]);
                format!("{}.{test}({})", self.text(less), self.text(less))
            }
            11 => {
                let (name, sign) = (*self.choices.one(&NAMES), *self.choices.one(&["==", "!="]));
                format!("({} {sign} null)", name.0)
            }
            12 => format!("(session.groups == {})", self.texts(less)),
            _ => self.quantifier(less),
        }
    }

    fn comparison(&mut self) -> &'static str {
        const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
        COMPARISONS[self.choices.below(COMPARISONS.len())]
    }

    fn membership(&mut self, depth: usize) -> String {
        match self.choices.below(3) {
            0 => format!("({} in {})", self.text(depth), self.texts(depth)),
            1 => format!("({} in data.numbers)", self.number(depth)),
            _ => format!("({} in [1, 2, {}])", self.int(depth), self.int(depth)),
        }
    }

    fn quantifier(&mut self, depth: usize) -> String {
        if self.locals >= 2 {
            return self.bool(0);
        }
        let kind = *self.choices.one(&["exists", "all"]);
        let range = self.texts(depth);
        let local = format!("item{}", self.locals);
        self.locals += 1;
        let body = self.bool(depth);
        self.locals -= 1;
        format!("{range}.{kind}({local}, {body})")
    }

    fn texts(&mut self, depth: usize) -> String {
        match self.choices.below(3) {
            0 => "session.groups".to_owned(),
            1 => r#"["a", "admin", "é"]"#.to_owned(),
            _ => format!("[{}, {}]", self.text_leaf(), self.text_leaf_or(depth)),
        }
    }

    /// Equality of lists takes constant ones only, so that the second item is one half of the time.
    fn text_leaf_or(&mut self, depth: usize) -> String {
        if depth == 0 {
            "'b'".to_owned()
        } else {
            self.text_leaf()
        }
    }

    fn text_leaf(&mut self) -> String {
        match self.choices.below(4 + self.locals) {
            0 => format!("{:?}", self.choices.one(&TEXTS)),
            1 => "session.subject".to_owned(),
            2 => "session.role".to_owned(),
            3 => "data.id".to_owned(),
            local => format!("item{}", local - 4),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.text_leaf();
        }
        let less = depth - 1;
        match self.choices.below(6) {
            0 | 1 => self.text_leaf(),
            2 => format!("({} + {})", self.text(less), self.text(less)),
            3 => {
                let change = *self.choices.one(&["lowerAscii", "upperAscii", "trim"]);
                format!("{}.{change}()", self.text(less))
            }
            4 => format!("string({})", self.int(less)),
            _ => format!(
                "({} ? {} : {})",
                self.bool(less),
                self.text(less),
                self.text(less)
            ),
        }
    }

    fn number(&mut self, depth: usize) -> String {
        if self.choices.below(2) == 0 {
            self.int(depth)
        } else {
            self.double(depth)
        }
    }

    fn int(&mut self, depth: usize) -> String {
        let less = depth.saturating_sub(1);
        match self.choices.below(if depth == 0 { 3 } else { 8 }) {
            0 => self.choices.one(&INTS).to_string(),
            1 => "session.level".to_owned(),
            2 => "data.count".to_owned(),
            3 => format!("size({})", self.text(less)),
            4 => format!(
                "size({})",
                ["session.groups", "data.numbers"][self.choices.below(2)]
            ),
            5 => format!("-({})", self.int(less)),
            6 => format!("int({})", self.double(less)),
            _ => {
                let operator = *self.choices.one(&["+", "-", "*", "/", "%"]);
                format!("({} {operator} {})", self.int(less), self.int(less))
            }
        }
    }

    fn double(&mut self, depth: usize) -> String {
        let less = depth.saturating_sub(1);
        match self.choices.below(if depth == 0 { 2 } else { 4 }) {
            0 => format!("{:?}", self.choices.one(&DOUBLES)),
            1 => "data.price".to_owned(),
            2 => format!("double({})", self.int(less)),
            _ => {
                let operator = *self.choices.one(&["+", "-", "*", "/"]);
                format!("({} {operator} {})", self.double(less), self.double(less))
            }
        }
    }

    fn instant(&mut self, depth: usize) -> String {
        let less = depth.saturating_sub(1);
        match self.choices.below(if depth == 0 { 2 } else { 4 }) {
            0 => "now".to_owned(),
            1 => r#"timestamp("2026-01-01T01:00:00+01:00")"#.to_owned(),
            2 => format!("({} + {})", self.instant(less), self.span(less)),
            _ => format!("({} - {})", self.instant(less), self.span(less)),
        }
    }

    fn span(&mut self, depth: usize) -> String {
        let less = depth.saturating_sub(1);
        match self.choices.below(if depth == 0 { 2 } else { 4 }) {
            0 => r#"duration("1h30m")"#.to_owned(),
            1 => r#"duration("-1.5s")"#.to_owned(),
            2 => format!("({} - {})", self.instant(less), self.instant(less)),
            _ => format!("({} + {})", self.span(less), self.span(less)),
        }
    }
}

/// One value for each name, null where it is absent.
struct Call(Vec<Value>);

impl Call {
    fn draw(choices: &mut Choices<'_>) -> Self {
        let values = NAMES
            .iter()
            .map(|(_, ty, _)| match (choices.below(5), *ty) {
                (_, "timestamp") => {
                    Value::Timestamp(auth_core::clock::Timestamp::from_seconds(NOW))
                }
                (0, _) => Value::Null,
                (_, "string") => text(choices),
                (_, "int") => Value::Int(*choices.one(&INTS)),
                (_, "double") => Value::Double(*choices.one(&DOUBLES)),
                (_, "bool") => Value::Bool(choices.below(2) == 0),
                (count, "list(int)") => Value::List(
                    (1..count)
                        .map(|_| Value::Int(*choices.one(&INTS)))
                        .collect(),
                ),
                (count, _) => Value::List((1..count).map(|_| text(choices)).collect()),
            });
        Self(values.collect())
    }

    /// The same for the interpreter: what is absent has no key, so that `has` is false, or null.
    fn context(&self, env: &Arc<Env>, absent_is_null: bool) -> Context<'static, 'static> {
        let mut records: HashMap<&str, HashMap<String, cel::Value>> =
            HashMap::from([("session", HashMap::new()), ("data", HashMap::new())]);
        for ((path, ..), value) in NAMES.iter().zip(&self.0) {
            if let Some((record, field)) = path.split_once('.')
                && (absent_is_null || *value != Value::Null)
            {
                let fields = records.get_mut(record).unwrap();
                fields.insert(field.to_owned(), theirs(value));
            }
        }
        let mut context = Context::with_env(Arc::clone(env));
        for (record, fields) in records {
            context.add_variable_from_value(record, fields);
        }
        let now = env.compile(&format!("timestamp({NOW})")).unwrap();
        let now = now.execute(&Context::with_env(Arc::clone(env))).unwrap();
        context.add_variable_from_value("now", now);
        context
    }
}

impl Bindings for Call {
    fn value(&self, variable: VariableId) -> Result<Val<'_>, EvalError> {
        Ok(self.0[usize::try_from(variable.0).unwrap()].as_val())
    }
}

fn text(choices: &mut Choices<'_>) -> Value {
    Value::String((*choices.one(&TEXTS)).into())
}

fn theirs(value: &Value) -> cel::Value {
    match value {
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Double(number) => (*number).into(),
        Value::String(text) => text.to_string().into(),
        Value::List(values) => values.iter().map(theirs).collect::<Vec<_>>().into(),
        _ => cel::Value::Null,
    }
}

fn declarations() -> Declarations {
    let mut declarations = Declarations::default();
    for (path, ty, root) in NAMES {
        declarations.declare(path, ty.parse::<Type>().unwrap(), root);
    }
    declarations
}

fn env() -> Arc<Env> {
    let mut env = Env::stdlib();
    env.add_extension(extensions::strings).unwrap();
    Arc::new(env)
}

/// How the integers begin that no double holds.
const LARGEST: &str = "922337203685477580";

/// Both results of one random expression, when both have one.
fn both(choices: &[u8], env: &Arc<Env>) -> Option<(String, bool, bool)> {
    let mut choices = Choices(choices.iter());
    let call = Call::draw(&mut choices);
    let source = Writer { choices, locals: 0 }.bool(4);
    let ours = match Expression::compile(&source, &declarations()) {
        Ok(expression) => expression.evaluate(&call).ok()?,
        Err(err) => {
            let expected = [
                "this always fails",
                "a list of names",
                "nest",
                "longer",
                "more than",
            ];
            assert!(
                expected.iter().any(|part| err.to_string().contains(part)),
                "{source}: {err}"
            );
            return None;
        }
    };
    let context = call.context(env, !source.contains("has("));
    let theirs = env.compile(&source).unwrap().execute(&context).ok()?;
    let cel::Value::Bool(theirs) = theirs else {
        panic!("{source}: {theirs:?}")
    };
    let mut shown = source;
    let meets_doubles = shown.contains("double(");
    for ((path, ..), value) in NAMES.iter().zip(&call.0) {
        write!(shown, "\n{path} = {value:?}").unwrap();
    }
    // The interpreter compares an integer with a double after rounding it; ours compares exactly,
    // as the language has it. They differ where an integer does not fit a double.
    if meets_doubles && shown.contains(LARGEST) {
        return None;
    }
    Some((shown, ours, theirs))
}

#[test]
fn where_both_have_a_result_it_is_the_same() {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    let config = ProptestConfig {
        cases: cases.unwrap_or(1_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let (env, compared) = (env(), std::cell::Cell::new(0_u32));
    let choices = prop::collection::vec(any::<u8>(), 20..300);
    proptest::test_runner::TestRunner::new(config.clone())
        .run(&choices, |choices| {
            if let Some((source, ours, theirs)) = both(&choices, &env) {
                compared.set(compared.get() + 1);
                prop_assert_eq!(ours, theirs, "{}", source);
            }
            Ok(())
        })
        .unwrap_or_else(|err| panic!("{err}"));
    assert!(
        compared.get() > config.cases / 5,
        "only {} of {}",
        compared.get(),
        config.cases
    );
    println!(
        "{} of {} had a result on both sides",
        compared.get(),
        config.cases
    );
}
