use std::collections::HashMap;

use super::*;
use crate::clock::Timestamp;

/// A world with a few names, and values for some of them.
struct World {
    declarations: Declarations,
    ids: HashMap<&'static str, VariableId>,
    values: HashMap<VariableId, Result<Value, EvalError>>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            declarations: Declarations::default(),
            ids: HashMap::new(),
            values: HashMap::new(),
        };
        let texts = || Type::List(Box::new(Type::String));
        for (name, kind, root) in [
            ("session.subject", Type::String, Root::Session),
            ("session.claims.role", Type::String, Root::Session),
            ("session.claims.level", Type::Int, Root::Session),
            ("session.claims.profile", Type::Map, Root::Session),
            ("session.scopes", texts(), Root::Session),
            ("session.auth_time", Type::Timestamp, Root::Session),
            ("data.book_id", Type::String, Root::Data),
            ("data.count", Type::Int, Root::Data),
            ("data.ratio", Type::Double, Root::Data),
            ("book.author_id", Type::Dyn, Root::Lookup(0)),
            ("now", Type::Timestamp, Root::Now),
        ] {
            world
                .ids
                .insert(name, world.declarations.declare(name, kind, root));
        }
        world
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.values.insert(self.ids[name], Ok(value));
        self
    }

    fn failing(mut self, name: &str, err: EvalError) -> Self {
        self.values.insert(self.ids[name], Err(err));
        self
    }

    fn compile(&self, source: &str) -> Result<Expression, CompileError> {
        Expression::compile(source, &self.declarations)
    }

    fn evaluate(&self, source: &str) -> Result<bool, EvalError> {
        self.compile(source)
            .unwrap_or_else(|err| panic!("{source}: {err}"))
            .evaluate(self)
    }
}

impl Bindings for World {
    fn value(&self, variable: VariableId) -> Result<Val<'_>, EvalError> {
        match self.values.get(&variable) {
            Some(Ok(value)) => Ok(value.as_val()),
            Some(Err(err)) => Err(*err),
            None => Ok(Val::Null),
        }
    }
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

#[test]
fn expressions_mean_what_cel_says() {
    let world = World::new()
        .with("session.claims.role", text("admin"))
        .with("session.claims.level", Value::Int(3))
        .with(
            "session.scopes",
            Value::List(Box::new([text("a"), text("b")])),
        )
        .with("data.count", Value::Int(7))
        .with("data.ratio", Value::Double(0.5))
        .with(
            "session.auth_time",
            Value::Timestamp(Timestamp::from_seconds(1000)),
        )
        .with("now", Value::Timestamp(Timestamp::from_seconds(1300)));
    for (source, expected) in [
        ("session.claims.role == \"admin\"", true),
        ("session.claims['role'] == 'admin'", true),
        ("session.claims.role in ['user', 'admin']", true),
        ("'b' in session.scopes", true),
        ("session.scopes.exists(s, s == 'b')", true),
        ("session.scopes.all(s, s.startsWith('a'))", false),
        (
            "session.scopes.exists(s, session.scopes.all(t, t >= s))",
            true,
        ),
        (
            "size(session.scopes) == 2 && session.claims.role.size() == 5",
            true,
        ),
        (
            "data.count % 2 == 1 && data.count * 2 - 4 == 10 && data.count / 2 == 3",
            true,
        ),
        ("data.ratio < 1.0 && data.ratio < data.count", true),
        ("session.claims.level > 2 ? data.count == 7 : false", true),
        ("now - session.auth_time <= duration('5m')", true),
        ("now - session.auth_time < duration('5m')", false),
        ("now > timestamp('1970-01-01T00:00:00Z')", true),
        ("string(data.count) + 'x' == '7x'", true),
        ("int('12') + 1 == 13", true),
        ("session.claims.role.upperAscii() == 'ADMIN'", true),
        ("has(session.claims.role) && !has(session.subject)", true),
        ("'x' in [session.claims.role, 'x']", true),
        ("true", true),
    ] {
        assert_eq!(world.evaluate(source), Ok(expected), "{source}");
    }
}

#[test]
fn r4_absent_is_null_and_a_wrong_type_is_an_error_also_under_not() {
    let world = World::new().with("data.count", text("many"));
    for (source, expected) in [
        ("session.claims.role == 'admin'", Ok(false)),
        ("session.claims.role != 'admin'", Ok(true)),
        ("session.claims.role == null", Ok(true)),
        ("!(data.count > 3)", Err(EvalError::WrongType)),
        ("data.count == 3", Err(EvalError::WrongType)),
        ("session.claims.level > 3", Err(EvalError::WrongType)),
        ("!(session.claims.level > 3)", Err(EvalError::WrongType)),
        (
            "session.claims.role.startsWith('a')",
            Err(EvalError::WrongType),
        ),
        ("'a' in session.scopes", Err(EvalError::WrongType)),
        ("1 / 0 == 1", Err(EvalError::DivisionByZero)),
        ("9223372036854775807 + 1 > 0", Err(EvalError::Overflow)),
        ("true || 1 / 0 == 1", Ok(true)),
        ("1 / 0 == 1 || true", Err(EvalError::DivisionByZero)),
    ] {
        assert_eq!(world.evaluate(source), expected, "{source}");
    }
}

#[test]
fn r4_two_absent_values_are_not_equal() {
    let world = World::new();
    for source in [
        "book.author_id == session.subject",
        "!(book.author_id != session.subject)",
        "session.subject in [book.author_id, 'x']",
    ] {
        assert_eq!(
            world.evaluate(source),
            Err(EvalError::WrongType),
            "{source}"
        );
    }
    assert_eq!(world.evaluate("book.author_id == null"), Ok(true));
}

#[test]
fn r4_a_failed_look_up_is_told_from_false() {
    let world = World::new().failing("book.author_id", EvalError::Unavailable);
    for (source, expected) in [
        (
            "book.author_id == session.subject",
            Err(EvalError::Unavailable),
        ),
        ("!has(book.author_id)", Err(EvalError::Unavailable)),
        ("false && book.author_id == 'x'", Ok(false)),
    ] {
        assert_eq!(world.evaluate(source), expected, "{source}");
    }
}

#[test]
fn r5_a_session_is_guarded_by_has() {
    let world = World::new().failing("session.subject", EvalError::NoSession);
    for (source, unguarded) in [
        ("has(session.subject)", false),
        ("!has(session.subject) || session.claims.role == 'x'", false),
        ("session.claims.role == 'x'", true),
        ("data.book_id == 'x' || session.claims.role == 'x'", true),
        ("data.book_id == 'x'", false),
    ] {
        let expression = world.compile(source).unwrap();
        assert_eq!(expression.reads_session_unguarded(), unguarded, "{source}");
    }
    assert_eq!(world.evaluate("has(session.subject)"), Ok(false));
    assert_eq!(
        world.evaluate("session.subject == 'x'"),
        Err(EvalError::NoSession)
    );
}

#[test]
fn what_is_wrong_is_found_at_load_with_its_place() {
    let world = World::new();
    for (source, column, message, help) in [
        (
            "sesion.claims.role == 'x'",
            1,
            "unknown name `sesion.claims.role`",
            "did you mean `session.claims.role`?",
        ),
        (
            "session.claims.rloe == 'x'",
            1,
            "unknown name",
            "did you mean `session.claims.role`?",
        ),
        (
            "session.claims.age > 1",
            1,
            "unknown name",
            "declare it under `claims`",
        ),
        (
            "session.claims == null",
            1,
            "is a record",
            "the name of a field",
        ),
        ("session.claims.role == 3", 21, "`string` and `int`", ""),
        (
            "session.claims.role = 'x'",
            21,
            "`=` is no operator",
            "write `==`",
        ),
        ("true and false", 6, "this is no operator", "write `&&`"),
        ("'a' == \"b", 8, "not closed", ""),
        ("session.claims.role", 1, "gives a truth value", ""),
        ("session.claims.role && true", 1, "`bool` is needed", ""),
        (
            "data.count + 1.0 > 1.0",
            12,
            "do not go together",
            "convert",
        ),
        (
            "session.claims.role.matches('a.*')",
            28,
            "`matches`",
            "startsWith",
        ),
        ("{'a': 1}.a == 1", 1, "a map literal", "checks use"),
        ("timestamp('yesterday') < now", 11, "is no timestamp", ""),
        ("size(data.count) == 1", 6, "`size` counts", ""),
        ("data.count in session.scopes", 1, "is never in", ""),
        ("session.scopes.map(s, s).size() == 1", 19, "this macro", ""),
        (
            "cel.bind(x, 1, x == 1)",
            9,
            "not among what checks may use",
            "",
        ),
        ("", 1, "cannot be read", ""),
    ] {
        let err = world.compile(source).expect_err(source);
        assert!(err.to_string().contains(message), "{source}: {err}");
        assert!(
            err.help().unwrap_or_default().contains(help),
            "{source}: {:?}",
            err.help()
        );
        assert_eq!(err.column(), column, "{source}: {err}");
    }
}

#[test]
fn hostile_expressions_are_refused_quickly() {
    let world = World::new();
    let deep = |open: &str, times: usize| open.repeat(times);
    for source in [
        deep("[", 60),
        format!("{}true{}", deep("(", 200), deep(")", 200)),
        vec!["true"; 20_000].join(" && "),
        deep("!!(!!", 25),
        format!("{}true", deep("!", 300)),
        deep("-", 4000),
        "true\u{0}".into(),
        deep("a.", 2000),
        "'".into(),
    ] {
        assert!(world.compile(&source).is_err(), "{:.40}", source);
    }
}
