"""What can be known to be wrong before the first forward pass."""

from mistudio_sae.errors import ConfigError
from mistudio_sae.fit import check_tokens_fit_model
from mistudio_sae.models import resolve
from mistudio_sae.training.plan import TrainingPlan


def check_plan(plan: TrainingPlan) -> None:
    """Raise ConfigError, HookPointError or TokensFormatError when the parts of a run do not fit together."""
    check_tokens_fit_model(plan.lm, plan.tokens.info)
    _check_hooks(plan)
    plan.config.harvest_size(plan.tokens.info.context_length)
    available = plan.tokens.info.split("train").tokens
    if available < plan.config.batch_tokens:
        raise ConfigError(
            "batch_tokens",
            f"one batch of {plan.config.batch_tokens} is more than the {available} tokens of the training split; "
            "tokenize more text or lower it.",
        )


def _check_hooks(plan: TrainingPlan) -> None:
    lm, hooks = plan.lm, plan.hook_points
    if not hooks or len({hook.name for hook in hooks}) < len(hooks):
        raise ConfigError("hook_points", "give at least one hook point, and each only once.")
    if not plan.saes:
        raise ConfigError("saes", "give at least one SAE configuration.")
    for hook in plan.harvested:
        resolve(lm, hook)
    for hook in hooks:
        # The width of a raw module is known only once it has run; the trainee checks it then.
        for sae in plan.saes if hook.kind != "module" else ():
            if sae.d_in != lm.d_model:
                raise ConfigError("d_in", f"is {sae.d_in} but {hook.name} is {lm.d_model} wide; set d_in to that.")
