//! Compiles the contract with protox, so that no protoc is needed.
//!
//! Messages with a field marked `debug_redact` get no derived `Debug` but a written one that
//! leaves the field out, since prost does not honour the mark (tokio-rs/prost#861).

use std::{collections::BTreeMap, env, error::Error, fmt::Write as _, fs, path::PathBuf};

use protox::prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor, Value};

const FILES: [&str; 5] = [
    "sidegate/v1/wire.proto",
    "sidegate/v1/authorization.proto",
    "sidegate/v1/session.proto",
    "sidegate/v1/session_store.proto",
    "sidegate/admin/v1/admin.proto",
];

/// What Envoy asks and is answered. It is no part of our contract, and has a descriptor of its own.
const ENVOY_FILES: [&str; 2] = [
    "envoy/service/auth/v3/external_auth.proto",
    "envoy/service/ext_proc/v3/external_processor.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=sidegate");
    println!("cargo::rerun-if-changed=envoy");
    compile(&FILES, "descriptors.bin")?;
    compile(&ENVOY_FILES, "envoy.bin")
}

/// Generates code for these files, and writes their descriptors under `name`.
fn compile(files: &[&str], name: &str) -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["."])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(files)?;
    fs::write(out.join(name), compiler.encode_file_descriptor_set())?;

    let secret = secret_messages(compiler.descriptor_pool());
    for (package, messages) in &secret {
        let code: String = messages.iter().map(debug_impl).collect();
        fs::write(out.join(format!("{package}.debug.rs")), code)?;
    }
    tonic_prost_build::configure()
        .build_client(env::var_os("CARGO_FEATURE_CLIENT").is_some())
        .build_server(env::var_os("CARGO_FEATURE_SERVER").is_some())
        .bytes(".")
        .codec_path("crate::codec::SmallBuffers")
        .skip_debug(secret.iter().flat_map(|(package, messages)| {
            messages
                .iter()
                .map(move |message| format!(".{package}.{}", message.name()))
        }))
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The messages with a redacted field, by package.
fn secret_messages(pool: DescriptorPool) -> BTreeMap<String, Vec<MessageDescriptor>> {
    let mut secret: BTreeMap<String, Vec<MessageDescriptor>> = BTreeMap::new();
    for message in pool
        .all_messages()
        .filter(|message| message.fields().any(|f| is_redacted(&f)))
    {
        secret
            .entry(message.package_name().to_owned())
            .or_default()
            .push(message);
    }
    secret
}

fn is_redacted(field: &FieldDescriptor) -> bool {
    let options = field.options();
    options
        .get_field_by_name("debug_redact")
        .is_some_and(|value| matches!(value.as_ref(), Value::Bool(true)))
}

/// A `Debug` that prints every field but the redacted ones and those of a oneof, for which prost
/// generates no `Debug` here.
fn debug_impl(message: &MessageDescriptor) -> String {
    let plain = message
        .fields()
        .filter(|field| !is_redacted(field) && field.containing_oneof().is_none())
        .map(|field| field.name().to_owned());
    let mut fields = String::new();
    for name in plain {
        let _ = write!(fields, ".field(\"{name}\", &self.{name})");
    }
    let name = message.name();
    format!(
        "impl ::core::fmt::Debug for {name} {{\n    \
         fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{\n        \
         f.debug_struct(\"{name}\"){fields}.finish_non_exhaustive()\n    }}\n}}\n"
    )
}
