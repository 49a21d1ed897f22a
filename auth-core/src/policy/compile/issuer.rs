//! Compiling the issuers of JWTs.

use std::{path::Path, sync::Arc};

use super::Faults;
use crate::{
    jwt::{
        Algorithm, DEFAULT_CACHE_CAPACITY, Issuer, JwksLocation, JwksSettings, KeySet, KeySource,
        VerificationKey, Verifier,
    },
    policy::{
        file::{BoundFile, IssuerFile},
        scalar::At,
        source::{Document, Files},
    },
    principal::{LOCAL_NAMESPACE, is_namespace},
    scope::ScopeMatching,
    strategy::issuers::{IssuerTraits, Issuers},
};

/// Compiles the issuers; `None` when there are none, or with faults.
pub(super) fn compile(
    main: &Document,
    declared: &[At<IssuerFile>],
    files: &dyn Files,
    faults: &mut Faults,
) -> Option<Arc<Issuers>> {
    let (mut issuers, mut traits) = (Vec::new(), Vec::new());
    for file in declared {
        issuers.push(issuer(main, file, files, faults)?);
        traits.push(IssuerTraits {
            name: file.issuer.value.clone(),
            namespace: file.namespace.value.clone(),
            scope_matching: if file.scope_hierarchy {
                ScopeMatching::Hierarchical
            } else {
                ScopeMatching::Exact
            },
            private_address: file.private_address,
        });
    }
    let first = declared.first()?;
    match Verifier::new(issuers, DEFAULT_CACHE_CAPACITY) {
        Ok(verifier) => Some(Arc::new(Issuers {
            verifier,
            traits: traits.into(),
        })),
        Err(err) => {
            faults.error(main, first, &with_source(&err));
            None
        }
    }
}

fn issuer(
    main: &Document,
    file: &At<IssuerFile>,
    files: &dyn Files,
    faults: &mut Faults,
) -> Option<Issuer> {
    if !is_namespace(&file.namespace) || file.namespace.value == LOCAL_NAMESPACE {
        faults.error_help(
            main,
            &file.namespace,
            &format!(
                "`{}` cannot be the namespace of an issuer",
                file.namespace.escape_debug()
            ),
            "its principals are other people than those who sign in here: name it, as `idp`",
        );
        return None;
    }
    let algorithms = algorithms(main, file, faults)?;
    let keys = keys(main, file, &algorithms, files, faults)?;
    let mut audiences = file.audience.iter();
    let Some(first) = audiences.next() else {
        faults.error(
            main,
            file,
            "an issuer needs an `audience`: any of its tokens would do",
        );
        return None;
    };
    let mut builder =
        Issuer::builder(file.issuer.as_str(), first.as_str(), keys).algorithms(algorithms);
    for audience in audiences {
        builder = builder.audience(audience.as_str());
    }
    if let Some(types) = &file.typ {
        builder = builder.types(types.iter().map(|typ| typ.as_str()));
    }
    if let Some(leeway) = file.leeway {
        builder = builder.leeway(leeway.value.0);
    }
    if file.rfc9068 {
        builder = builder.access_token_profile();
    }
    if let Some(bound) = file.bound {
        builder = builder.certificate_bound(bound == BoundFile::Certificate);
    }
    builder
        .build()
        .map_err(|err| faults.error(main, file, &with_source(&err)))
        .ok()
}

fn algorithms(
    main: &Document,
    file: &At<IssuerFile>,
    faults: &mut Faults,
) -> Option<Vec<Algorithm>> {
    let Some(named) = &file.algorithms else {
        return Some(vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa]);
    };
    let mut algorithms = Vec::new();
    for name in named {
        match Algorithm::from_name(name) {
            Some(algorithm) => algorithms.push(algorithm),
            None => {
                let all = Algorithm::ASYMMETRIC.iter().chain(&Algorithm::SYMMETRIC);
                faults.unknown(main, name, "algorithm", name, all.map(|known| known.name()));
                return None;
            }
        }
    }
    Some(algorithms)
}

fn keys(
    main: &Document,
    file: &At<IssuerFile>,
    algorithms: &[Algorithm],
    files: &dyn Files,
    faults: &mut Faults,
) -> Option<KeySource> {
    match (&file.keys_file, &file.jwks) {
        (Some(path), None) => {
            let folder = main.path.parent().unwrap_or(Path::new(""));
            key_file(&folder.join(&path.value), algorithms, files)
                .map_err(|err| faults.error(main, path, &format!("`{}`: {err}", path.value)))
                .ok()
                .map(KeySource::Static)
        }
        (None, Some(url)) => Some(KeySource::Remote(
            JwksLocation::Url(url.value.clone()),
            JwksSettings::default(),
        )),
        (None, None) => Some(KeySource::Remote(
            JwksLocation::OpenIdDiscovery,
            JwksSettings::default(),
        )),
        (Some(_), Some(url)) => {
            faults.error(main, url, "write one of `keys_file` and `jwks`");
            None
        }
    }
}

/// Reads keys by what the file holds: JSON, PEM, else a secret, which only its owner may read.
fn key_file(path: &Path, algorithms: &[Algorithm], files: &dyn Files) -> Result<KeySet, String> {
    if algorithms.iter().all(|algorithm| algorithm.is_symmetric()) {
        let secret = files.read_secret(path).map_err(|err| err.to_string())?;
        let algorithm = algorithms.first().ok_or("no algorithm is allowed")?;
        let key = VerificationKey::from_secret(secret.trim_ascii_end(), *algorithm);
        return key
            .and_then(|key| KeySet::new(vec![key]))
            .map_err(|err| with_source(&err));
    }
    let text = files.read(path).map_err(|err| err.to_string())?;
    let trimmed = text.trim_start();
    let set = if trimmed.starts_with("-----BEGIN") {
        // A PEM file does not say its algorithm: the first of the list that fits is meant.
        let fitting = algorithms
            .iter()
            .find_map(|algorithm| VerificationKey::from_pem(&text, *algorithm).ok());
        let key = fitting.ok_or("the PEM key fits none of the allowed algorithms")?;
        KeySet::new(vec![key])
    } else if trimmed.contains("\"keys\"") {
        KeySet::from_jwks(text.as_bytes(), algorithms)
    } else {
        VerificationKey::from_jwk(text.as_bytes(), algorithms)
            .and_then(|key| KeySet::new(vec![key]))
    };
    set.map_err(|err| with_source(&err))
}

/// An error and what is behind it, on one line.
fn with_source(err: &dyn std::error::Error) -> String {
    match err.source() {
        Some(source) => format!("{err}: {}", with_source(source)),
        None => err.to_string(),
    }
}
