//! A publish that only tells what it would do.

use distribution_core::{PublishRequest, PublishResponse};
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{call, client, staged};

const PUBLISH: &str = "publish_final_asset";

#[tokio::test]
async fn a_dry_run_answers_a_plan_and_writes_nothing() {
    let (world, request) = staged();
    let client = client(&world).await;
    let request = serde_json::to_value(request).unwrap();
    let mut dry = request.clone();
    dry["dry_run"] = true.into();

    let planned = call(&client, PUBLISH, dry.clone()).await.unwrap();
    let plan = planned.structured_content.unwrap();
    assert_eq!(plan.as_object().unwrap().keys().collect::<Vec<_>>(), ["plan"]);
    assert_eq!((&plan["plan"]["action"], &plan["plan"]["size_bytes"]), (&json!("copy"), &json!(14)));
    assert!(world.objects().is_empty() && world.rows().is_empty() && world.audit().is_empty());

    let published = call(&client, PUBLISH, request.clone()).await.unwrap().structured_content.unwrap();
    assert_eq!(published["distribution_record"]["storage_location"], plan["plan"]["storage_location"]);
    let plan = call(&client, PUBLISH, dry).await.unwrap().structured_content.unwrap();
    assert_eq!(plan["plan"]["action"], "answer");

    for (dry_run, is_dry) in [(json!(false), false), (json!(null), false), (json!("s=c4n4ry"), true)] {
        let mut wanted = request.clone();
        wanted["dry_run"] = dry_run;
        let answer = call(&client, PUBLISH, wanted).await.unwrap().structured_content.unwrap();
        match is_dry {
            false => assert_eq!(answer, published),
            true => assert_eq!(answer["message"], "dry_run: must be true or false"),
        }
    }
}

#[tokio::test]
async fn the_schemas_are_the_contracts_own_and_what_a_dry_run_adds() {
    let (world, request) = staged();
    let publisher = world.publisher("host-1");
    let tools = client(&world).await.list_all_tools().await.unwrap();
    let mut input = Value::Object(tools[0].input_schema.as_ref().clone());
    let mut contract = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<PublishRequest>();
    let dry_run = input["properties"].as_object_mut().unwrap().remove("dry_run").unwrap();
    assert_eq!((&dry_run["type"], &dry_run["default"]), (&json!("boolean"), &json!(false)));
    assert_eq!(input["properties"], contract.as_value()["properties"]);
    assert_eq!(input["required"], contract.as_value()["required"]);
    assert_eq!(input["$defs"], contract.ensure_object()["$defs"]);

    let output = tools[0].output_schema.as_ref().unwrap();
    assert_eq!(output.get("required"), None);
    assert_eq!((&output["minProperties"], &output["maxProperties"]), (&json!(1), &json!(1)));

    // The answer without a dry run, byte for byte.
    let response = PublishResponse::from(publisher.publish(request.clone()).await.unwrap());
    let answer = call(&client(&world).await, PUBLISH, serde_json::to_value(request).unwrap()).await.unwrap();
    let told = serde_json::to_string(&answer.structured_content.unwrap()).unwrap();
    assert_eq!(told, serde_json::to_string(&serde_json::to_value(response).unwrap()).unwrap());
}
