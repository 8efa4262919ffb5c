"""The composition root: the only module that knows adapters.

Providers are lazy: `late("module:Name")` imports when first called, so that a door pays only for
what it uses. Doors receive the container; nothing is injected into modules.
"""

import importlib
from collections.abc import Callable
from typing import Any

from dependency_injector import containers, providers


def late(target: str) -> Callable[..., Any]:
    """A callable that imports `module:Name` when called, not before."""

    def call(*args: Any, **kwargs: Any) -> Any:
        module, _, name = target.partition(":")
        return getattr(importlib.import_module(module), name)(*args, **kwargs)

    call.__name__ = target
    return call


SERVICES = "entrypoints.services"


class Container(containers.DeclarativeContainer):
    """Everything a door can ask for."""

    config = providers.Configuration()
    """`runs`: the folder of runs."""

    # -- adapters -----------------------------------------------------------------------------
    catalog = providers.ThreadSafeSingleton(late("adapters.catalog:FolderCatalog"))
    surroundings = providers.ThreadSafeSingleton(late("adapters.surroundings:SystemSurroundings"))
    translator = providers.ThreadSafeSingleton(late("adapters.translate:JsonTranslator"))
    spec_reader = providers.ThreadSafeSingleton(late("adapters.spec_file:FileSpecReader"), catalog)
    hardware = providers.ThreadSafeSingleton(late("adapters.hardware:TorchHardware"))
    rows = providers.ThreadSafeSingleton(late("adapters.row_sources:SourceRowReader"), catalog)
    encoded_cache = providers.ThreadSafeSingleton(late("adapters.encoded_cache:FileEncodedCache"))
    jobs = providers.ThreadSafeSingleton(late("adapters.jobs_files:FileJobStore"), config.runs)
    launcher = providers.ThreadSafeSingleton(late("adapters.launch_process:ProcessLauncher"))
    models = providers.ThreadSafeSingleton(late("adapters.models.hf:HfModelBackend"), catalog)
    converter = providers.ThreadSafeSingleton(
        late("adapters.models.converting:HfModelConverter"), catalog
    )
    trainer = providers.ThreadSafeSingleton(late("adapters.trainer_trl:TrlTrainerBackend"), catalog)
    quantizer = providers.Factory(late("adapters.quantizers:load_quantizer"), catalog)
    reports = providers.ThreadSafeSingleton(late("adapters.report_html:HtmlReportWriter"))
    open_engine = providers.Factory(late("adapters.engines:open_engine"), catalog, hardware)

    eval_spec_reader = providers.ThreadSafeSingleton(
        late("adapters.eval_spec_file:FileEvalSpecReader")
    )
    exams = providers.ThreadSafeSingleton(late("adapters.exam_files:ExamFiles"), catalog)
    open_scorer = providers.Factory(late("adapters.scorers:open_scorer"), catalog, hardware)
    open_remote = providers.Factory(late("adapters.remote_engine:open_remote"))
    eval_reports = providers.ThreadSafeSingleton(
        late("adapters.eval_report_html:HtmlEvaluationReportWriter")
    )

    # -- use cases ----------------------------------------------------------------------------
    find_run = providers.Factory(late(f"{SERVICES}.find_run:FindRun"), jobs, launcher, surroundings)
    find_adapters = providers.Factory(
        late(f"{SERVICES}.find_adapters:FindAdapters"), find_run, jobs, spec_reader
    )
    prepare_data = providers.Factory(
        late(f"{SERVICES}.prepare_data:PrepareData"), rows, encoded_cache
    )
    inspect_data = providers.Factory(
        late(f"{SERVICES}.inspect_data:InspectData"), prepare_data, models
    )
    plan_run = providers.Factory(
        late(f"{SERVICES}.plan_run:PlanRun"),
        spec_reader,
        models,
        trainer,
        quantizer.provider,
        hardware,
        prepare_data,
        find_adapters,
    )
    method_matrix = providers.Factory(
        late(f"{SERVICES}.method_matrix:MethodMatrix"), plan_run, catalog
    )
    start_run = providers.Factory(
        late(f"{SERVICES}.start_run:StartRun"), plan_run, jobs, launcher, surroundings
    )
    resume_run = providers.Factory(
        late(f"{SERVICES}.resume_run:ResumeRun"), find_run, jobs, launcher, surroundings
    )
    stop_run = providers.Factory(late(f"{SERVICES}.stop_run:StopRun"), find_run, launcher)
    watch_run = providers.Factory(
        late(f"{SERVICES}.watch_run:WatchRun"), find_run, jobs, surroundings
    )
    execute_run = providers.Factory(
        late(f"{SERVICES}.execute_run:ExecuteRun"),
        plan=plan_run,
        jobs=jobs,
        models=models,
        trainer=trainer,
        quantizer=quantizer.provider,
        hardware=hardware,
        reports=reports,
        surroundings=surroundings,
    )
    resolve_model = providers.Factory(
        late(f"{SERVICES}.resolve_model:ResolveModel"),
        find_run,
        jobs,
        models,
        spec_reader,
        find_adapters,
    )
    merge_model = providers.Factory(
        late(f"{SERVICES}.merge_model:MergeModel"), resolve_model, models
    )
    convert_model = providers.Factory(late(f"{SERVICES}.convert_model:ConvertModel"), converter)
    prepare_evaluation = providers.Factory(
        late(f"{SERVICES}.prepare_evaluation:PrepareEvaluation"), exams, rows, models
    )
    start_evaluation = providers.Factory(
        late(f"{SERVICES}.start_evaluation:StartEvaluation"),
        eval_spec_reader,
        resolve_model,
        prepare_evaluation,
        jobs,
        launcher,
        surroundings,
    )
    evaluate_model = providers.Factory(
        late(f"{SERVICES}.evaluate_model:EvaluateModel"),
        reader=eval_spec_reader,
        resolve=resolve_model,
        prepare=prepare_evaluation,
        jobs=jobs,
        open_scorer=open_scorer.provider,
        open_engine=open_engine.provider,
        open_remote=open_remote.provider,
        hardware=hardware,
        reports=eval_reports,
        surroundings=surroundings,
    )
    compare_evaluations = providers.Factory(
        late(f"{SERVICES}.compare_evaluations:CompareEvaluations"), find_run, jobs
    )
    diagnose = providers.Factory(late(f"{SERVICES}.diagnose:Diagnose"), hardware)


def make_container(runs: str = "runs") -> Container:
    """A container whose runs live in the folder `runs`."""
    container = Container()
    container.config.from_dict({"runs": runs})
    return container
