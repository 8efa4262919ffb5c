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
    pipeline_reader = providers.ThreadSafeSingleton(
        late("adapters.pipeline_file:FilePipelineReader"), catalog, spec_reader
    )
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
    packer = providers.Factory(late("adapters.quantizers:load_packer"), catalog)
    reports = providers.ThreadSafeSingleton(late("adapters.report_html:HtmlReportWriter"))
    open_engine = providers.Factory(late("adapters.engines:open_engine"), catalog, hardware)
    open_tracker = providers.Factory(late("adapters.trackers:open_tracker"), catalog)

    eval_spec_reader = providers.ThreadSafeSingleton(
        late("adapters.eval_spec_file:FileEvalSpecReader")
    )
    exams = providers.ThreadSafeSingleton(late("adapters.exam_files:ExamFiles"), catalog)
    open_scorer = providers.Factory(late("adapters.scorers:open_scorer"), catalog, hardware)
    open_remote = providers.Factory(late("adapters.remote_engine:open_remote"))
    open_remote_scorer = providers.Factory(late("adapters.remote_scorer:open_remote_scorer"))
    text_metrics = providers.ThreadSafeSingleton(late("adapters.text_metrics:LibraryTextMetrics"))
    checker = providers.ThreadSafeSingleton(late("adapters.code_checker:SubprocessChecker"))
    eval_reports = providers.ThreadSafeSingleton(
        late("adapters.eval_report_html:HtmlEvaluationReportWriter")
    )
    files = providers.ThreadSafeSingleton(
        late("adapters.files_disk:DiskFiles"), config.runs, config.max_file_bytes
    )
    keys = providers.ThreadSafeSingleton(late("adapters.access_file:FileKeyStore"), config.runs)
    meter = providers.ThreadSafeSingleton(late("adapters.meter_prometheus:PrometheusMeter"))

    # -- use cases ----------------------------------------------------------------------------
    find_run = providers.Factory(late(f"{SERVICES}.find_run:FindRun"), jobs, launcher, surroundings)
    find_adapters = providers.Factory(
        late(f"{SERVICES}.find_adapters:FindAdapters"), find_run, jobs, spec_reader
    )
    check_order = providers.Factory(
        late(f"{SERVICES}.check_order:CheckOrder"), find_run, jobs, catalog
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
        check_order,
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
    track_run = providers.Factory(
        late(f"{SERVICES}.track_run:TrackRun"), jobs, open_tracker.provider
    )
    train_model = providers.Factory(
        late(f"{SERVICES}.train_model:TrainModel"), models, trainer, quantizer.provider
    )
    ranks = providers.Factory(
        late("adapters.launch_ranks:ElasticRankLauncher"), "entrypoints.rank:train"
    )
    execute_run = providers.Factory(
        late(f"{SERVICES}.execute_run:ExecuteRun"),
        plan=plan_run,
        jobs=jobs,
        train=train_model,
        ranks=ranks,
        hardware=hardware,
        reports=reports,
        track=track_run,
        surroundings=surroundings,
    )
    plan_pipeline = providers.Factory(
        late(f"{SERVICES}.plan_pipeline:PlanPipeline"), pipeline_reader, plan_run, rows
    )
    start_pipeline = providers.Factory(
        late(f"{SERVICES}.start_pipeline:StartPipeline"),
        plan_pipeline,
        jobs,
        launcher,
        surroundings,
    )
    start_job = providers.Factory(
        late(f"{SERVICES}.start_job:StartJob"), pipeline_reader, start_run, start_pipeline
    )
    plan_job = providers.Factory(
        late(f"{SERVICES}.plan_job:PlanJob"), pipeline_reader, plan_run, plan_pipeline
    )
    start_generation = providers.Factory(
        late(f"{SERVICES}.start_generation:StartGeneration"),
        spec_reader,
        rows,
        jobs,
        launcher,
        surroundings,
    )
    generate_pairs = providers.Factory(
        late(f"{SERVICES}.generate_pairs:GeneratePairs"),
        reader=spec_reader,
        rows=rows,
        models=models,
        adapters=find_adapters,
        jobs=jobs,
        open_engine=open_engine.provider,
        surroundings=surroundings,
    )
    execute_pipeline = providers.Factory(
        late(f"{SERVICES}.execute_pipeline:ExecutePipeline"),
        jobs=jobs,
        find=find_run,
        start_run=start_run,
        start_generation=start_generation,
        resume=resume_run,
        stop=stop_run,
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
    quantize_model = providers.Factory(
        late(f"{SERVICES}.quantize_model:QuantizeModel"),
        resolve=resolve_model,
        models=models,
        packer=packer.provider,
        hardware=hardware,
        reader=rows,
    )
    manage_keys = providers.Factory(late(f"{SERVICES}.manage_keys:ManageKeys"), keys, surroundings)
    admit = providers.Factory(late(f"{SERVICES}.manage_keys:Admit"), keys)
    manage_files = providers.Factory(
        late(f"{SERVICES}.manage_files:ManageFiles"), files, rows, surroundings
    )
    manage_uploads = providers.Factory(
        late(f"{SERVICES}.manage_files:ManageUploads"), files, manage_files, surroundings
    )
    start_fine_tune = providers.Factory(
        late(f"{SERVICES}.start_fine_tune:StartFineTune"),
        files=manage_files,
        store=files,
        reader=spec_reader,
        plan=plan_run,
        start=start_run,
        find=find_run,
        jobs=jobs,
    )
    fine_tune_jobs = providers.Factory(
        late(f"{SERVICES}.fine_tune_jobs:FineTuneJobs"),
        find=find_run,
        jobs=jobs,
        files=files,
        stop=stop_run,
        resume_run=resume_run,
    )
    fine_tuned_models = providers.Factory(
        late(f"{SERVICES}.fine_tuned_models:FineTunedModels"),
        listing=fine_tune_jobs,
        jobs=jobs,
        models=models,
        reader=spec_reader,
        adapters=find_adapters,
        resolve_run=resolve_model,
    )
    choose_engine = providers.Factory(
        late(f"{SERVICES}.choose_engine:ChooseEngine"),
        catalog,
        resolve_model,
        open_engine.provider,
        open_remote.provider,
    )
    merge_model = providers.Factory(
        late(f"{SERVICES}.merge_model:MergeModel"), resolve_model, models
    )
    convert_model = providers.Factory(late(f"{SERVICES}.convert_model:ConvertModel"), converter)
    prepare_evaluation = providers.Factory(
        late(f"{SERVICES}.prepare_evaluation:PrepareEvaluation"),
        exams,
        rows,
        models,
        text_metrics,
        checker,
        open_remote.provider,
        catalog,
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
        open_remote_scorer=open_remote_scorer.provider,
        hardware=hardware,
        reports=eval_reports,
        surroundings=surroundings,
    )
    ratings = providers.ThreadSafeSingleton(late("adapters.rating_files:RatingFiles"))
    rate_answers = providers.Factory(
        late(f"{SERVICES}.rate_answers:RateAnswers"),
        resolve_model,
        open_engine.provider,
        rows,
        ratings,
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
