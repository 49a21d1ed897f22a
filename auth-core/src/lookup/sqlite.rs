//! Look-ups in a SQLite database, opened read-only, on threads of their own.

use std::{
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use async_trait::async_trait;
use futures_channel::oneshot;
use rusqlite::{Connection, OpenFlags, types::ValueRef};

use super::{DescribeError, Description, LookupError, LookupSource};
use crate::{expression::Type, value::Value};

/// How many look-ups run at a time.
const THREADS: usize = 2;
/// How many may wait; beyond that a look-up fails at once.
const MAX_WAITING: usize = 1024;
/// How long a look-up waits for a lock of another process.
const BUSY_TIMEOUT: Duration = Duration::from_millis(250);

/// The answer to a look-up.
type Answer = Result<Option<Vec<Value>>, LookupError>;

/// A look-up on its way to a thread.
struct Job {
    sql: String,
    args: Vec<Value>,
    answer: oneshot::Sender<Answer>,
}

/// A SQLite database that look-ups look in.
#[derive(Debug)]
pub struct SqliteSource {
    path: PathBuf,
    jobs: mpsc::SyncSender<Job>,
}

impl SqliteSource {
    /// The database at `path`. It is opened at the first look-up, and again after an error, so that
    /// it may come and go.
    ///
    /// # Errors
    ///
    /// Returns the error of the system when no thread can be started.
    pub fn new(path: &Path) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::sync_channel(MAX_WAITING);
        let waiting = std::sync::Arc::new(std::sync::Mutex::new(waiting));
        for _ in 0..THREADS {
            let (path, waiting) = (path.to_owned(), waiting.clone());
            thread::Builder::new()
                .name("sidegate-lookup".into())
                .spawn(move || {
                    let mut connection = None;
                    while let Some(job) = next(&waiting) {
                        let answer = run(&mut connection, &path, &job);
                        // Nobody waits any more when the deadline has passed.
                        let _ = job.answer.send(answer);
                    }
                })?;
        }
        Ok(Self {
            path: path.to_owned(),
            jobs,
        })
    }
}

fn next(waiting: &std::sync::Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    let waiting = waiting
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    waiting.recv().ok()
}

#[async_trait]
impl LookupSource for SqliteSource {
    fn describe(&self, sql: &str) -> Result<Description, DescribeError> {
        let connection =
            open(&self.path).map_err(|err| DescribeError::Unreachable(err.to_string()))?;
        describe(&connection, sql)
    }

    async fn first_row(&self, sql: &str, args: &[Value]) -> Answer {
        let (sender, receiver) = oneshot::channel();
        let job = Job {
            sql: sql.to_owned(),
            args: args.to_vec(),
            answer: sender,
        };
        self.jobs
            .try_send(job)
            .map_err(|_| LookupError("too many look-ups wait".into()))?;
        receiver
            .await
            .unwrap_or_else(|_| Err(LookupError("the look-up was dropped".into())))
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn describe(connection: &Connection, sql: &str) -> Result<Description, DescribeError> {
    let query = |message: String| DescribeError::Query(message);
    let statement = connection
        .prepare(sql)
        .map_err(|err| query(err.to_string()))?;
    if !statement.readonly() || statement.column_count() == 0 {
        return Err(query("a look-up reads: write a `select`".into()));
    }
    for number in 1..=statement.parameter_count() {
        if statement.parameter_name(number) != Some(&format!("${number}")) {
            return Err(query(
                "arguments are written `$1`, `$2` ..., in this order".into(),
            ));
        }
    }
    let columns = statement
        .columns()
        .iter()
        .map(|column| (column.name().to_owned(), type_of(column.decl_type())))
        .collect();
    Ok(Description {
        columns,
        parameters: statement.parameter_count(),
    })
}

/// The type that a column is declared with (after SQLite's affinity rules, section 3.1 of
/// "Datatypes In SQLite").
fn type_of(declared: Option<&str>) -> Type {
    let declared = declared.unwrap_or_default().to_ascii_uppercase();
    if declared.contains("BOOL") {
        Type::Bool
    } else if declared.contains("INT") {
        Type::Int
    } else if ["CHAR", "CLOB", "TEXT"]
        .iter()
        .any(|word| declared.contains(word))
    {
        Type::String
    } else if ["REAL", "FLOA", "DOUB"]
        .iter()
        .any(|word| declared.contains(word))
    {
        Type::Double
    } else {
        Type::Dyn
    }
}

fn run(connection: &mut Option<Connection>, path: &Path, job: &Job) -> Answer {
    let answer = match connection.take().map_or_else(|| open(path), Ok) {
        Ok(opened) => {
            let answer = first_row(&opened, &job.sql, &job.args);
            *connection = Some(opened);
            answer
        }
        Err(err) => Err(err),
    };
    answer.map_err(|err| {
        *connection = None;
        LookupError(err.to_string())
    })
}

fn first_row(
    connection: &Connection,
    sql: &str,
    args: &[Value],
) -> rusqlite::Result<Option<Vec<Value>>> {
    let mut statement = connection.prepare_cached(sql)?;
    for (index, arg) in args.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, to_sql(arg))?;
    }
    let booleans: Vec<bool> = statement
        .columns()
        .iter()
        .map(|c| type_of(c.decl_type()) == Type::Bool)
        .collect();
    let mut rows = statement.raw_query();
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let values = booleans
        .iter()
        .enumerate()
        .map(|(index, boolean)| Ok(from_sql(row.get_ref(index)?, *boolean)))
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(values))
}

fn to_sql(value: &Value) -> rusqlite::types::Value {
    use rusqlite::types::Value as Sql;
    match value {
        Value::Bool(value) => Sql::Integer(i64::from(*value)),
        Value::Int(value) => Sql::Integer(*value),
        Value::Double(value) => Sql::Real(*value),
        Value::String(text) => Sql::Text(text.to_string()),
        Value::Timestamp(time) => Sql::Text(time.to_string()),
        Value::Null | Value::Duration(_) | Value::List(_) | Value::Map(_) => Sql::Null,
    }
}

fn from_sql(value: ValueRef<'_>, boolean: bool) -> Value {
    match value {
        ValueRef::Integer(number @ (0 | 1)) if boolean => Value::Bool(number == 1),
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => Value::Double(number),
        ValueRef::Text(text) => {
            std::str::from_utf8(text).map_or(Value::Null, |text| Value::String(text.into()))
        }
        ValueRef::Null | ValueRef::Blob(_) => Value::Null,
    }
}
