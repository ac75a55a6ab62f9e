//! The lines of `--json`.

use serde_json::json;

use crate::measure::RowResult;

/// One object a line: each contender's figures, then the row's ratios. A ratio that does not exist
/// is `null`. Where CPU time decides, each contender has that too, and the ratios are its.
pub(crate) fn lines(result: &RowResult) -> String {
    let contenders = result.measurements.iter().map(|each| {
        let mut object = json!({
            "row": result.row,
            "contender": each.contender,
            "median_ns": each.median_ns,
            "min_ns": each.min_ns,
            "bytes_per_op": each.bytes_per_op,
            "allocs_per_op": each.allocs_per_op,
            "ops": each.ops,
            "iterations": each.iterations,
        });
        if let Some(cpu) = each.cpu {
            object["median_cpu_ns"] = json!(cpu.median_ns);
            object["min_cpu_ns"] = json!(cpu.min_ns);
        }
        object
    });
    let ratios = json!({
        "row": result.row,
        "ratio_to_tokio": result.ratio_to_tokio(),
        "ratio_to_best": result.ratio_to_best(),
    });
    contenders.chain([ratios]).map(|object| format!("{object}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::CpuTime;
    use crate::measure::tests::result;

    #[test]
    fn cpu_time_follows_where_it_is_known() {
        let mut result = result(&[("volt", 50.0)]);
        result.measurements[0].cpu = Some(CpuTime { median_ns: 5.0, min_ns: 4.0 });
        let text = lines(&result);
        let object = text.lines().next().expect("there is a contender");
        assert!(
            object.ends_with(r#""iterations":10,"median_cpu_ns":5.0,"min_cpu_ns":4.0}"#),
            "{object}"
        );
    }

    #[test]
    fn keys_and_their_order_are_as_documented() {
        assert_eq!(
            lines(&result(&[("volt", 50.0), ("tokio", 100.0)])),
            concat!(
                r#"{"row":"spawn","contender":"volt","median_ns":50.0,"min_ns":25.0,"#,
                r#""bytes_per_op":64.0,"allocs_per_op":1.5,"ops":1000,"iterations":10}"#,
                "\n",
                r#"{"row":"spawn","contender":"tokio","median_ns":100.0,"min_ns":50.0,"#,
                r#""bytes_per_op":64.0,"allocs_per_op":1.5,"ops":1000,"iterations":10}"#,
                "\n",
                r#"{"row":"spawn","ratio_to_tokio":0.5,"ratio_to_best":0.5}"#,
                "\n",
            )
        );
    }

    #[test]
    fn a_ratio_without_its_peer_is_null() {
        let text = lines(&result(&[("volt", 50.0), ("shuttle", 100.0)]));
        assert!(
            text.ends_with("{\"row\":\"spawn\",\"ratio_to_tokio\":null,\"ratio_to_best\":0.5}\n")
        );
    }
}
