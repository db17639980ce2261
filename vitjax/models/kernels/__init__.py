"""How computations are written for the machines that run them: attention in one kernel, by who makes it (which one runs
where is said in `vitjax.models.core.execution`), softmax and dense layers by the gradients that compilers do not find.
"""
