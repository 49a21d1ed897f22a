//! What makes no sense is refused, with the field and what is wrong with it, and changes nothing.

mod data;
mod fields;
mod http;
mod json;
mod logs;
mod scene;
mod stale;
mod texts;

use fields::rows;
use scene::{Scene, with};

#[tokio::test]
async fn a_field_that_makes_no_sense_is_named_with_what_is_wrong() {
    let scene = Scene::new().await;
    let before = scene.held().await;
    let mut faults = Vec::new();
    for row in rows() {
        let (name, place, says) = (row.method, row.place, row.says);
        let body = with(scene.good(name), place, row.value.clone());
        match scene.refused(name, &body).await {
            Ok(refused)
                if (&*refused.code, &*refused.reason) == ("invalid_argument", "INVALID_FIELD")
                    && refused.message.starts_with(says)
                    && refused.field == row.field() => {}
            other => faults.push(format!("{name} {place} ({says}): {other:?}")),
        }
        if scene.held().await != before {
            faults.push(format!("{name} {place} ({says}) changed something"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(scene.operation().await, "hello");
}
