"""Kernels over images that lie on several devices, as those of a training do."""


def test_every_device_runs_a_kernel_over_its_images(on_devices):
    on_devices(
        """
        import jax, jax.numpy as jnp, numpy as np
        from vitjax.models.kernels.by_images import by_images
        from vitjax.train.loop.mesh import among, copied, mesh, shared_out

        seen = []

        def kernel(x, weights):
            seen.append(len(x))
            y = x @ weights
            return [y, y.sum(axis=0)]

        rng, devices = np.random.default_rng(0), mesh(4)
        x, weights = (rng.normal(size=size).astype(np.float32) for size in ((4, 3, 6), (6, 5)))
        run = lambda x: by_images(kernel, [x], [weights], summed=1)
        wanted = run(x)
        step = jax.jit(run, in_shardings=shared_out(devices), out_shardings=copied(devices))
        seen.clear()
        for mine, theirs in zip(among(devices)(step)(x), wanted, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
        assert seen == [1], seen
        odd = jax.jit(run, in_shardings=copied(devices), out_shardings=copied(devices))
        for mine, theirs in zip(among(devices)(odd)(x[:3]), run(x[:3]), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
        """,
        4,
    )


def test_kernels_of_tpus_lower_where_a_batch_is_shared_out(on_devices):
    on_devices(
        """
        import jax, jax.numpy as jnp
        from vitjax.models.core.config import ViTConfig
        from vitjax.models.core.execution import Execution
        from vitjax.models.registry import abstract
        from vitjax.train.loop.mesh import among, copied, mesh, shared_out

        config = ViTConfig(
            image_size=(32, 32), patch_size=(8, 8), width=128, depth=2, heads=2, mlp_width=128, classes=3, norm="dtn",
            joins=1,
        )
        there, devices = Execution().on("tpu"), mesh(8)
        loss = lambda model, images: model(images, ["logits"], execution=there)["logits"].sum()
        places = copied(devices), shared_out(devices)
        step = jax.jit(jax.value_and_grad(loss), in_shardings=places, out_shardings=copied(devices))
        images = jax.ShapeDtypeStruct((8, 32, 32, 3), jnp.float32)
        trace = among(devices)(step.trace)
        text = trace(abstract(config), images).lower(lowering_platforms=("tpu",)).as_text()
        for name in ("attention_forward", "attention_backward", "token_norm_forward", "token_norm_backward"):
            assert name in text, name
        """,
        2,
    )
