"""What is read off the text of a compiled program: how often things run, what they move and compute, and whose line."""

import json
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from tests.support import small
from vitjax.bench.compiled import chips, hlo, mosaic, report, target, traffic
from vitjax.bench.compiled.chips import CHIPS, chip
from vitjax.bench.compiled.estimate import called, dearest, kernels, untimed
from vitjax.errors import InputError
from vitjax.optimize.recipes import choose
from vitjax.weights import dtypes

# A loop of 3 over rows of a stack [4, 8, 8]: a product with a row that is cut out, written into a buffer in place.
GPU = """HloModule jit_step, is_scheduled=true

FileNames
1 "HERE/models/parts/mlp.py"
2 "/elsewhere/flax/linear.py"

FunctionNames
1 "Mlp.__call__"
2 "Linear.__call__"

FileLocations
1 {file_name_id=1 function_name_id=1 line=52 end_line=52 column=1 end_column=2}
2 {file_name_id=2 function_name_id=2 line=7 end_line=7 column=1 end_column=2}

StackFrames
1 {file_location_id=1 parent_frame_id=1}
2 {file_location_id=2 parent_frame_id=2}

%fused (p0: bf16[4,8,8], p1: bf16[16,8], p2: s32[], p3: bf16[4,16,8]) -> bf16[4,16,8] {
  %p0 = bf16[4,8,8]{2,1,0} parameter(0)
  %p2 = s32[] parameter(2)
  %zero = s32[] constant(0)
  %row = bf16[1,8,8]{2,1,0} dynamic-slice(%p0, %p2, %zero, %zero), dynamic_slice_sizes={1,8,8}
  %matrix = bf16[8,8]{1,0} bitcast(%row)
  %p1 = bf16[16,8]{1,0} parameter(1)
  %dot = bf16[16,8]{1,0} dot(%p1, %matrix), lhs_contracting_dims={1}, rhs_contracting_dims={0}, PRODUCT
  %wide = bf16[1,16,8]{2,1,0} bitcast(%dot)
  %p3 = bf16[4,16,8]{2,1,0} parameter(3)
  ROOT %put = bf16[4,16,8]{2,1,0} dynamic-update-slice(%p3, %wide, %p2, %zero, %zero)
}

%body (state: (s32[], bf16[16,8], bf16[4,8,8], bf16[4,16,8])) -> (s32[], bf16[16,8], bf16[4,8,8], bf16[4,16,8]) {
  %state = (s32[], bf16[16,8]{1,0}, bf16[4,8,8]{2,1,0}, /*index=3*/bf16[4,16,8]{2,1,0}) parameter(0)
  %i = s32[] get-tuple-element(%state), index=0
  %x = bf16[16,8]{1,0} get-tuple-element(%state), index=1
  %stack = bf16[4,8,8]{2,1,0} get-tuple-element(%state), index=2
  %kept = bf16[4,16,8]{2,1,0} get-tuple-element(%state), index=3
  %gemm = bf16[4,16,8]{2,1,0} fusion(%stack, %x, %i, %kept), calls=%fused, WRITING
  ROOT %next = (s32[], bf16[16,8]{1,0}, bf16[4,8,8]{2,1,0}, bf16[4,16,8]{2,1,0}) tuple(%i, %x, %stack, %gemm)
}

%condition (at: (s32[], bf16[16,8], bf16[4,8,8], bf16[4,16,8])) -> pred[] {
  %at = (s32[], bf16[16,8]{1,0}, bf16[4,8,8]{2,1,0}, bf16[4,16,8]{2,1,0}) parameter(0)
  %reached = s32[] get-tuple-element(%at), index=0
  %three = s32[] constant(3)
  ROOT %more = pred[] compare(%reached, %three), direction=LT
}

ENTRY %main (a: (s32[], bf16[16,8], bf16[4,8,8], bf16[4,16,8])) -> bf16[4,16,8] {
  %a = (s32[], bf16[16,8]{1,0}, bf16[4,8,8]{2,1,0}, bf16[4,16,8]{2,1,0}) parameter(0)
  %loop = (s32[], bf16[16,8]{1,0}, bf16[4,8,8]{2,1,0}, bf16[4,16,8]{2,1,0}) while(%a), condition=%condition, body=%body
  ROOT %out = bf16[4,16,8]{2,1,0} get-tuple-element(%loop), index=3
}
"""
NAMES = {
    "HERE": hlo.PACKAGE,
    "PRODUCT": 'metadata={op_name="jit(step)/while/body/transpose(jvp())/dot_general" stack_frame_id=2}',
    "WRITING": 'metadata={op_name="jit(step)/while/body/dynamic_update_slice" stack_frame_id=1}',
}
for word, text in NAMES.items():
    GPU = GPU.replace(word, text)
CYCLES = 'backend_config={"window_config":{"estimated_cycles":"N"}}'
TPU = """HloModule jit_step

ENTRY %main (a: bf16[100,200], b: f32[6,16]) -> bf16[100,200] {
  %a = bf16[100,200]{1,0:T(8,128)(2,1)} parameter(0)
  %b = f32[6,16]{0,1:T(8,128)} parameter(1)
  %brought = (bf16[100,200]{1,0:T(8,128)(2,1)S(1)}, bf16[100,200]{1,0:T(8,128)(2,1)}, u32[]{:S(2)}) copy-start(%a)
  %here = bf16[100,200]{1,0:T(8,128)(2,1)S(1)} copy-done(%brought)
  %turned = bf16[100,200]{1,0:T(8,128)(2,1)S(1)} copy(%here), metadata={op_name="jit(step)/transpose"}, CYCLES
  %grid = f32[6,16]{0,1:T(8,128)} custom-call(%b), custom_call_target="tpu_custom_call"
  ROOT %add = bf16[100,200]{1,0:T(8,128)(2,1)} add(%turned, %here), CYCLES
}
""".replace("CYCLES", CYCLES.replace("N", "1500"))


def test_a_loop_counts_as_often_as_it_runs_and_what_is_cut_by_the_cut_alone():
    program = hlo.read(GPU)
    (kernel,) = kernels(program, chip("h100"))
    row, x, index, written = 2 * 64, 2 * 128, 4, 2 * 128
    assert (kernel.times, kernel.bytes, kernel.operations) == (3, row + x + index + written, 2 * 16 * 8 * 8)
    assert kernel.seconds == max(kernel.bytes / chip("h100").bandwidth, kernel.operations / chip("h100").half)
    assert (kernel.operation, kernel.line) == ("dot_general, backward", "models/parts/mlp.py:52")
    assert list(dearest([kernel, kernel], 5)) == [("dot_general, backward", "models/parts/mlp.py:52", 2 * kernel.total)]


def test_trips_that_are_told_come_before_those_that_are_found():
    told = 'condition=%condition, body=%body, backend_config={"known_trip_count":{"n":"7"}}'
    (kernel,) = kernels(hlo.read(GPU.replace("condition=%condition, body=%body", told)), chip("h100"))
    assert kernel.times == 7


def test_cycles_make_seconds_and_what_stays_on_the_chip_is_not_moved():
    brought, copied, custom, added = kernels(hlo.read(TPU), chip("v5e"))
    filled_up = 104 * 256 * 2
    assert [kernel.seconds for kernel in (brought, copied, custom, added)] == [0, 1e-6, 0, 1e-6]
    assert [kernel.bytes for kernel in (brought, copied, added)] == [filled_up, 0, filled_up]
    assert (custom.custom, custom.bytes) == ("tpu_custom_call", 2 * 16 * 128 * 4)
    assert (copied.operation, copied.line) == ("transpose", "")


@pytest.mark.parametrize(
    ("name", "said"),
    {
        "jit(advance)/while/body/jvp()/dot_general": "dot_general",
        "jit(advance)/transpose(jvp())/mul": "mul, backward",
        "jit(advance)/transpose(jvp())/checkpoint/rematted_computation/exp": "exp, again",
    }.items(),
)
def test_names_of_operations(name, said):
    assert called(name) == said


def test_products_of_libraries_count_by_their_shapes():
    text = """
ENTRY %main (q: bf16[2,198,3,64]) -> bf16[2,3,198,64] {
  %q = bf16[2,198,3,64]{3,2,1,0} parameter(0)
  %back = (bf16[2,3,198,64]{3,2,1,0}) custom-call(%q, %q, %q), custom_call_target="__cudnn$fmhaSoftmaxBackward"
  %m = bf16[5,7]{1,0} parameter(1)
  %n = bf16[7,11]{1,0} parameter(2)
  ROOT %gemm = bf16[5,11]{1,0} custom-call(%m, %n), custom_call_target="__cublas$gemm", NUMBERS
}
"""
    numbers = 'backend_config={"gemm_backend_config":{"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"]}}}'
    attention, gemm = kernels(hlo.read(text.replace("NUMBERS", numbers)), chip("h100"))
    assert attention.operations == 5 * 2 * 2 * 3 * 198 * 198 * 64 and gemm.operations == 2 * 5 * 7 * 11


def test_elementwise_operations_count_by_element():
    text = """
ENTRY %main (a: f32[10,20]) -> f32[10] {
  %a = f32[10,20]{1,0} parameter(0)
  %e = f32[10,20]{1,0} exponential(%a)
  %zero = f32[] constant(0)
  ROOT %sum = f32[10]{0} reduce(%e, %zero), dimensions={1}, to_apply=%add
}
"""
    program = hlo.read(text)
    counted = [traffic.elementwise(program, one, here) for one, here, _ in program.run()]
    assert counted == [0, 10 * 200, 0, 200]


def test_chips(tmp_path):
    assert all(one.half >= one.single > 1e14 and one.memory > 1e10 for one in CHIPS.values())
    with pytest.raises(InputError, match="did you mean v5p, v5e"):
        chip("v5")
    assert chip("v5e:4x4") == replace(CHIPS["v5e"], name="v5e:4x4", target="v5e:4x4")
    unknown = chip("v9:2x2")
    assert (
        unknown.target == "v9:2x2"
        and unknown.said == "rate of products unknown: there is no share of it, milliseconds at 1 GHz"
    )

    (tmp_path / "card.txt").write_text(CHIPS["h100"].target)
    described = chip(str(tmp_path / "card.txt"))
    assert described == replace(CHIPS["h100"], name="NVIDIA H100 80GB HBM3")
    (tmp_path / "card.txt").write_text(CHIPS["h100"].target.replace("H100", "X1"))
    other = chip(str(tmp_path / "card.txt"))
    assert (other.name, other.half, other.bandwidth) == ("NVIDIA X1 80GB HBM3", 0, CHIPS["h100"].bandwidth)
    assert kernels(hlo.read(GPU), other)[0].seconds > 0
    assert replace(other, target=other.target.replace("major: 9", "major: 7")).suited == "float32"
    assert {one.suited for one in (*CHIPS.values(), other, unknown)} == {"bfloat16"} and chips.NATIVE == dtypes.NATIVE
    (tmp_path / "card.txt").write_text("core_count: 3")
    with pytest.raises(InputError, match="it says no memory_bandwidth"):
        chip(str(tmp_path / "card.txt"))


def lowered(loops: bool):
    """The text of a Pallas kernel of 3 x 2 programs as it is handed to a TPU's compiler."""

    def kernel(x, y):
        twice = lambda i, value: value * 2 + i
        y[...] = lax.fori_loop(0, jnp.int32(x[0, 0]), twice, x[...]) if loops else twice(1, x[...])

    block = pl.BlockSpec((8, 128), lambda i, j: (i, j))
    array = jax.ShapeDtypeStruct((24, 256), jnp.float32)
    dealt = pltpu.CompilerParams(dimension_semantics=("parallel", "arbitrary"))
    call = pl.pallas_call(
        kernel, grid=(3, 2), in_specs=[block], out_specs=block, out_shape=array, compiler_params=dealt
    )
    return jax.jit(call).trace(array).lower(lowering_platforms=("tpu",)).as_text()


@pytest.mark.parametrize(("loops", "cores", "count"), [(False, 1, 6), (False, 2, 4), (True, 1, 0)])
def test_a_pallas_kernel_takes_its_schedule_once_for_each_program_of_a_core(loops, cores, count, tmp_path):
    body = re.search(r"body\\22: \\22([A-Za-z0-9+/=]+)", lowered(loops))
    text = TPU.replace(
        '"tpu_custom_call"', f'"tpu_custom_call", backend_config={{"custom_call_config":{{"body":"{body[1]}"}}}}'
    )
    call = re.search(r"  %grid = .*\n", text)[0]
    text = text.replace(call, call + call.replace("%grid", "%again"))  # its schedule is dumped once
    (tmp_path / "17-grid-00-schedule-analysis_final_bundles.txt").write_text("\ttotal scheduled bundles:    250\n")
    program = hlo.read(text)
    cycles = mosaic.cycles(program, tmp_path, cores)
    assert cycles == (dict.fromkeys(("grid", "again"), 250 * count) if count else {})
    found = kernels(program, chip("v5e"), cycles)
    assert sum(one.total for one in found) == pytest.approx(2e-6 + 2 * 250 * count / 1.5e9)
    assert untimed(found) == ({} if count else {"tpu_custom_call": 2})


def test_what_a_compiler_refuses_is_a_line_of_the_table(monkeypatch, capsys, tmp_path):
    made = kernels(hlo.read(TPU), chip("v5e"))

    def built(chip, config, tap, recipe, slots, dtype, execution):
        if slots > 4:
            raise target.Refused("RESOURCE_EXHAUSTED: Ran out of memory")
        return target.Built(slots * 10**8, 10**8, "", made)

    monkeypatch.setattr(report, "built", built)
    monkeypatch.setattr(report, "place", lambda chip: None)
    settings = {"views": [2], "dtypes": ["bfloat16"], "remats": [False], "attentions": ["auto"], "scan": True}
    out = tmp_path / "rows.json"
    report.run(
        chip("v5e"), small.CONFIG, choose("fast"), source="small", blocks=[2], batches=[2, 4, 8], out=out, **settings
    )
    said = capsys.readouterr().out
    assert "refused: RESOURCE_EXHAUSTED: Ran out of memory" in said and "tpu_custom_call, 1 times" in said
    assert "Best of these: 4 pictures" in said and "100 MB a picture: 135 fit into 85% of the memory" in said
    record = json.loads(out.read_text())
    assert [row["setting"]["batch"] for row in record["rows"]] == [2, 4] and "<" in said
    assert record["refused"][0]["setting"]["batch"] == 8
