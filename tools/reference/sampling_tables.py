"""Golden values of noise tables, schedules and samplers, in double precision on an analytic denoiser.

    pip install torch==2.8.0 diffusers==0.35.2 scipy && pip install --no-deps k-diffusion==0.1.1.post1
    python tools/reference/sampling_tables.py [COMFYUI A1111]        # writes test/golden/sampling/*.json

COMFYUI and A1111 are checkouts of those programs (ComfyUI a125cd84, stable-diffusion-webui 1.10.1), whose samplers and schedules are run
from there. Without them the values taken from them stay as they are.
"""

import ast
import importlib.util
import json
import math
import sys
import types
from pathlib import Path

import numpy
import scipy.stats
import torch
from diffusers import DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler, LCMScheduler, TCDScheduler

torch.set_default_dtype(torch.float64)
OUT = Path(__file__).resolve().parents[2] / "test" / "golden" / "sampling"


def stub(name, **attributes):
    """A module of that name with those attributes, for code that imports more than it uses here."""
    module = types.ModuleType(name)
    module.__path__ = []
    vars(module).update(attributes)
    sys.modules[name] = module
    return module


def load_k_diffusion():
    """Its sampling, external and utils modules without the package's __init__, which pulls in training code."""
    places = list(importlib.util.find_spec("k_diffusion").submodule_search_locations)
    package = stub("k_diffusion")
    package.__path__ = places
    stub("torchdiffeq", odeint=None)
    stub("torchsde")
    from k_diffusion import external, sampling

    package.sampling = sampling

    return sampling, external


sampling, external = load_k_diffusion()


def write(name, value):
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(value, separators=(",", ":")) + "\n")


def table(rescale_betas_zero_snr):
    """k-diffusion's view of the training noise; checked against Diffusers, whose tables are in single precision."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    alphas_cumprod = torch.cumprod(1 - betas, 0)
    if rescale_betas_zero_snr:
        root = alphas_cumprod.sqrt()
        root = (root - root[-1]) * root[0] / (root[0] - root[-1])
        alphas_cumprod = root**2
        alphas_cumprod[-1] = 4.8973451890853435e-08
    schedule = external.DiscreteSchedule(((1 - alphas_cumprod) / alphas_cumprod) ** 0.5, quantize=False)
    diffusers = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", rescale_betas_zero_snr=rescale_betas_zero_snr
    )
    theirs = ((1 - diffusers.alphas_cumprod.double()) / diffusers.alphas_cumprod.double()) ** 0.5
    # Single precision loses 1 − ᾱ at the low end and, when rescaled, ᾱ at the high end, where Diffusers has another last number.
    assert torch.allclose(schedule.sigmas[1:-20], theirs[1:-20], rtol=2e-3), "noise table differs from Diffusers"
    assert rescale_betas_zero_snr or math.isclose(schedule.sigmas[-1], theirs[-1], rel_tol=1e-4), "last level differs from Diffusers"
    return schedule


standard, zero_terminal = table(False), table(True)


def write_table():
    probes = torch.cat([torch.logspace(-2, 1.3, 34), standard.sigmas[[0, 1, 500, 998, 999]]])
    times = torch.tensor([0.0, 0.25, 1.0, 17.5, 499.75, 998.5, 999.0])
    write(
        "noise-table",
        {
            name: {
                "every37": schedule.sigmas[::37].tolist(),
                "last": schedule.sigmas[-1].item(),
                "sigma": probes.tolist(),
                "timestep": schedule.sigma_to_t(probes).tolist(),
                "time": times.tolist(),
                "level": schedule.t_to_sigma(times).tolist(),
            }
            for name, schedule in {"standard": standard, "zeroTerminalSnr": zero_terminal}.items()
        },
    )


def karras(n, sigma_min=standard.sigma_min, sigma_max=standard.sigma_max, rho=7.0):
    return sampling.get_sigmas_karras(n, float(sigma_min), float(sigma_max), rho)


def as_list(values):
    return [float(value) for value in values]


def write_schedules():
    cases = []

    def add(scheduler, steps, values, **options):
        cases.append({"scheduler": scheduler, "steps": steps, "options": options, "sigmas": as_list(values)})

    top, bottom = float(standard.sigma_max), float(standard.sigma_min)
    for n in (1, 2, 3, 7, 10, 20, 25):
        add("normal", n, standard.get_sigmas(n))
        add("normal", n, zero_terminal.get_sigmas(n), zeroTerminalSnr=True)
        add("karras", n, karras(n))
        add("karras", n, karras(n, float(zero_terminal.sigma_min), float(zero_terminal.sigma_max)), zeroTerminalSnr=True)
        add("exponential", n, sampling.get_sigmas_exponential(n, bottom, top))
        add("polyexponential", n, sampling.get_sigmas_polyexponential(n, bottom, top))
        trailing = EulerDiscreteScheduler(timestep_spacing="trailing")
        trailing.set_timesteps(n)
        add("trailing", n, sampling.append_zero(standard.t_to_sigma(trailing.timesteps.double())))
        leading = DDIMScheduler(timestep_spacing="leading", steps_offset=1)
        leading.set_timesteps(n)
        add("ddim_uniform", n, sampling.append_zero(standard.t_to_sigma(leading.timesteps.double())))
        consistency = LCMScheduler(original_inference_steps=50)
        consistency.set_timesteps(n)
        add("lcm", n, sampling.append_zero(standard.t_to_sigma(consistency.timesteps.double())))
    for n in (16, 80):  # halves are rounded to the even number
        trailing.set_timesteps(n)
        add("trailing", n, sampling.append_zero(standard.t_to_sigma(trailing.timesteps.double())))
        add("trailing", n, sampling.append_zero(zero_terminal.t_to_sigma(trailing.timesteps.double())), zeroTerminalSnr=True)
    add("karras", 10, karras(10, rho=3.0), rho=3.0)
    for low, high in ((0.1, 10.0), (0.002, 80.0)):
        options = {"sigmaMin": low, "sigmaMax": high}
        add("karras", 10, karras(10, low, high, 5.5), **options, rho=5.5)
        add("exponential", 10, sampling.get_sigmas_exponential(10, low, high), **options)
        add("polyexponential", 10, sampling.get_sigmas_polyexponential(10, low, high, 1.7), **options, rho=1.7)
    write("schedules", cases)


SIZE = 3


def denoise(x, sigma, phase=0.5):
    """A smooth nonlinear stand-in for the network, [1, SIZE]; the test has the same formula."""
    i = torch.arange(SIZE)
    sigma = sigma[:, None]
    return x / (1 + sigma**2) + torch.cos(0.7 * x / (1 + sigma**2).sqrt() + phase * i) / (1 + 0.2 * sigma)


DRAWS = torch.randn(120, 1, SIZE, generator=torch.Generator().manual_seed(7))
START = torch.randn(1, SIZE, generator=torch.Generator().manual_seed(8))


def level_lists():
    """Finished and unfinished lists of 1, 2, 3, 7 and 20 steps, and two uneven ones."""
    lists = []
    for n in (1, 2, 3, 7, 20):
        lists += [standard.get_sigmas(n), karras(n)]
    lists += [karras(7)[:-1], standard.get_sigmas(7)[:4], karras(20)[9:], karras(3)[:2], standard.get_sigmas(25), karras(40)]
    uneven = torch.tensor([4.0, 3.9, 1.0, 0.9, 0.02])
    return lists + [torch.cat([uneven, torch.zeros(1)]), uneven]


LISTS = level_lists()
NOISY = [{}, {"eta": 0.0}, {"eta": 0.5}, {"sNoise": 1.1}, {"eta": 0.5, "sNoise": 1.1}]
CHURN = [{}, {"sChurn": 3.0}]
# k-diffusion draws noise outside of this range too and throws it away; ComfyUI does not.
RANGE = [{"sChurn": 40.0, "sTmin": 0.05, "sTmax": 9.0, "sNoise": 1.1}]
KEYS = {
    "eta": "eta",
    "sNoise": "s_noise",
    "sChurn": "s_churn",
    "sTmin": "s_tmin",
    "sTmax": "s_tmax",
    "solverType": "solver_type",
    "order": "max_order",
    "gamma": "ge_gamma",
    "r": "r",
    "variant": "variant",
}


class Draws:
    """The given noise in the order of the asking."""

    def __init__(self):
        self.count = 0

    def __call__(self, *_):
        self.count += 1
        return DRAWS[self.count - 1]


class BrownianPath(Draws):
    """A Brownian path over σ as dpmpp_sde walks it: asked for σ → middle and then for the whole of σ → next."""

    begun = None

    def __call__(self, sigma, to):
        fresh = super().__call__()
        if self.begun is None:
            self.begun = (sigma, to, fresh)
            return fresh
        start, middle, first = self.begun
        self.begun = None
        assert sigma == start and to < middle < start
        return ((start - middle) ** 0.5 * first + (middle - to) ** 0.5 * fresh) / (start - to) ** 0.5


def run_cases(functions, skip=lambda name, sigmas: False):
    """functions: sampler → (function, settings, noise or None). A function takes (model, x, sigmas, **settings)."""
    cases = []
    for which, sigmas in enumerate(LISTS):
        for name, (function, settings, noise) in functions.items():
            if skip(name, sigmas):
                continue
            for options in settings:
                extra = {KEYS[key]: value for key, value in options.items()}
                draws = noise() if noise else None
                if noise:
                    extra["noise_sampler"] = draws
                sampling.torch.randn_like = lambda x, draws=Draws(): draws()
                x = function(MODEL, START * sigmas[0], sigmas.clone(), extra_args={}, disable=True, **extra)
                cases.append({"sampler": name, "sigmas": which, "options": options, "x": x[0].tolist()})
    return cases


class Model:
    """The denoiser with what ComfyUI's samplers ask of their model."""

    def __init__(self):
        self.inner_model = self.model_patcher = self.model_sampling = self

    def get_model_object(self, _):
        return self

    def noise_scaling(self, sigma, noise, latent):
        return noise * sigma + latent

    def percent_to_sigma(self, percent):
        return standard.t_to_sigma(torch.tensor((1 - percent) * 999)).item()

    def __call__(self, x, sigma, model_options=None):
        denoised = denoise(x, sigma)
        if model_options:
            model_options["post_cfg"]({"denoised": denoised, "uncond_denoised": denoise(x, sigma, 0.8)})
        return denoised


MODEL = Model()


def k_diffusion_cases():
    functions = {
        "euler": (sampling.sample_euler, CHURN, None),
        "euler_a": (sampling.sample_euler_ancestral, NOISY + [{"eta": 1.7, "sNoise": 1.1}], Draws),
        "ddim": (
            lambda *a, eta=0.0, **k: sampling.sample_euler_ancestral(*a, eta=eta, **k),
            [{}, {"eta": 0.6}, {"eta": 1.0, "sNoise": 1.1}],
            Draws,
        ),
        "heun": (sampling.sample_heun, CHURN, None),
        "dpm2": (sampling.sample_dpm_2, CHURN, None),
        "dpm2_a": (sampling.sample_dpm_2_ancestral, NOISY, Draws),
        "dpmpp_2s_a": (sampling.sample_dpmpp_2s_ancestral, NOISY, Draws),
        "dpmpp_2m": (sampling.sample_dpmpp_2m, [{}], None),
        "dpmpp_sde": (sampling.sample_dpmpp_sde, NOISY + [{"r": 0.3}], BrownianPath),
        "dpmpp_2m_sde": (sampling.sample_dpmpp_2m_sde, NOISY + [{"solverType": "heun"}, {"solverType": "heun", "eta": 0.5}], Draws),
        "dpmpp_2m_sde_heun": (lambda *a, **k: sampling.sample_dpmpp_2m_sde(*a, solver_type="heun", **k), [{}, {"eta": 0.5}], Draws),
        "dpmpp_3m_sde": (sampling.sample_dpmpp_3m_sde, NOISY, Draws),
    }
    # The multistep SDE samplers fail on a single step to 0.
    return run_cases(functions, lambda name, sigmas: len(sigmas) == 2 and sigmas[-1] == 0 and name.startswith(("dpmpp_2m_sde", "dpmpp_3m_sde")))


def load_comfyui(path):
    sys.path.insert(0, str(path))
    stub("comfy").__path__ = [f"{path}/comfy"]
    stub("comfy.model_patcher", set_model_options_post_cfg_function=lambda options, f, **_: {"post_cfg": f})
    stub("comfy.model_sampling", CONST=type("CONST", (), {}))
    stub("comfy.utils", model_trange=lambda count, **_: range(count))
    stub("comfy.memory_management")
    for name in ("model_patcher", "model_sampling", "utils", "memory_management"):
        setattr(sys.modules["comfy"], name, sys.modules[f"comfy.{name}"])
    import comfy.extra_samplers.uni_pc as uni_pc
    import comfy.k_diffusion.sampling as comfy_sampling

    return comfy_sampling, uni_pc


def comfyui_cases(path):
    comfy, uni_pc = load_comfyui(path)

    def uni(*args, max_order=3, **extra):
        # The order is not a parameter there.
        uni_pc.min = lambda first, second: min(max_order, second) if first == 3 else min(first, second)
        return uni_pc.sample_unipc(*args, **extra)

    def dpm_fast(model, x, sigmas, **extra):
        low = sigmas[-1] if sigmas[-1] > 0 else sigmas[-2]
        return comfy.sample_dpm_fast(model, x, low.item(), sigmas[0].item(), len(sigmas) - 1, **extra)

    def er_sde(*args, max_order=3, **extra):
        return comfy.sample_er_sde(*args, max_stage=max_order, **extra)

    functions = {
        "euler": (comfy.sample_euler, RANGE, None),
        "heun": (comfy.sample_heun, RANGE, None),
        "dpm2": (comfy.sample_dpm_2, RANGE, None),
        "ddpm": (comfy.sample_ddpm, [{}], Draws),
        "lms": (lambda *a, max_order=4, **k: comfy.sample_lms(*a, order=max_order, **k), [{}, {"order": 2}], None),
        "lcm": (comfy.sample_lcm, [{}], Draws),
        "heunpp2": (comfy.sample_heunpp2, [{}], None),
        "ipndm": (comfy.sample_ipndm, [{}, {"order": 3}], None),
        "ipndm_v": (comfy.sample_ipndm_v, [{}, {"order": 3}], None),
        "deis": (comfy.sample_deis, [{}, {"order": 4}], None),
        "uni_pc": (uni, [{}, {"variant": "bh2"}, {"order": 2}], None),
        "uni_pc_bh2": (lambda *a, **k: uni(*a, variant="bh2", **k), [{}], None),
        "euler_cfg_pp": (comfy.sample_euler_cfg_pp, [{}], None),
        "euler_a_cfg_pp": (comfy.sample_euler_ancestral_cfg_pp, NOISY, Draws),
        "dpmpp_2s_a_cfg_pp": (comfy.sample_dpmpp_2s_ancestral_cfg_pp, NOISY, Draws),
        "dpmpp_2m_cfg_pp": (comfy.sample_dpmpp_2m_cfg_pp, [{}], None),
        "res_multistep": (comfy.sample_res_multistep, [{}], None),
        "res_multistep_a": (comfy.sample_res_multistep_ancestral, NOISY, Draws),
        "res_multistep_cfg_pp": (comfy.sample_res_multistep_cfg_pp, [{}], None),
        "res_multistep_a_cfg_pp": (comfy.sample_res_multistep_ancestral_cfg_pp, NOISY, Draws),
        "gradient_estimation": (comfy.sample_gradient_estimation, [{}, {"gamma": 1.5}], None),
        "gradient_estimation_cfg_pp": (comfy.sample_gradient_estimation_cfg_pp, [{}], None),
        "er_sde": (er_sde, [{}, {"order": 1}, {"order": 2, "sNoise": 1.1}], Draws),
        "seeds_2": (comfy.sample_seeds_2, NOISY, Draws),
        "seeds_3": (comfy.sample_seeds_3, NOISY, Draws),
        "sa_solver": (comfy.sample_sa_solver, [{}, {"sNoise": 1.1}], Draws),
        "sa_solver_pece": (comfy.sample_sa_solver_pece, [{}], Draws),
        "dpm_fast": (dpm_fast, [{}, {"eta": 0.5}, {"eta": 1.0, "sNoise": 1.1}], Draws),
    }

    def skip(name, sigmas):
        # What goes wrong there: UniPC does no step at all, DPM fast divides by the width of no range, and SA-Solver forgets the last
        # step of an unfinished list.
        one = len(sigmas) == 2
        unfinished = sigmas[-1] > 0
        return one and name.startswith("uni_pc") or one and not unfinished and name == "dpm_fast" or unfinished and "sa_solver" in name

    return run_cases(functions, skip)


def comfyui_schedules(path):
    """The functions alone, as the modules around them need the whole program."""

    def functions(file, *names):
        tree = ast.parse((Path(path) / file).read_text())
        wanted = [node for node in tree.body if getattr(node, "name", None) in names or isinstance(node, ast.Assign)]
        wanted = [node for node in wanted if not isinstance(node, ast.Assign) or node.targets[0].id in names]
        space = {"math": math, "torch": torch, "np": numpy, "numpy": numpy, "scipy": scipy}
        exec(compile(ast.Module(wanted, []), file, "exec"), space)
        return space

    space = functions("comfy/samplers.py", "simple_scheduler", "linear_quadratic_schedule", "kl_optimal_scheduler")
    gits = functions("comfy_extras/nodes_gits.py", "loglinear_interp", "NOISE_LEVELS")
    cases = []

    def add(scheduler, steps, values, **options):
        cases.append({"scheduler": scheduler, "steps": steps, "options": options, "sigmas": as_list(values)})

    top, bottom = float(standard.sigma_max), float(standard.sigma_min)
    for n in (1, 2, 3, 7, 20, 30):
        add("simple", n, space["simple_scheduler"](standard, n))
        add("linear_quadratic", n, space["linear_quadratic_schedule"](standard, n))
        if n > 1:
            add("kl_optimal", n, space["kl_optimal_scheduler"](n, bottom, top))
            add("kl_optimal", n, space["kl_optimal_scheduler"](n, 0.1, 10.0), sigmaMin=0.1, sigmaMax=10.0)
            table = gits["NOISE_LEVELS"][1.20]
            levels = table[n - 2][:] if n <= 20 else gits["loglinear_interp"](table[-1], n + 1)
            levels[-1] = 0
            add("gits", n, levels)
    for n in range(4, 20):
        add("gits", n, gits["NOISE_LEVELS"][1.20][n - 2][:-1] + [0.0])
    for n in (1, 4, 10):
        timesteps = torch.flip(torch.arange(1, 11) * 100 - 1, (0,))[:n]
        add("turbo", n, sampling.append_zero(standard.t_to_sigma(timesteps.double())))
    return cases


def a1111_schedules(path):
    shared = stub("modules.shared", opts=types.SimpleNamespace(beta_dist_alpha=0.6, beta_dist_beta=0.6))
    shared.sd_model = types.SimpleNamespace(is_sdxl=True)
    stub("modules", shared=shared)
    spec = importlib.util.spec_from_file_location("sd_schedulers", f"{path}/modules/sd_schedulers.py")
    module = importlib.util.module_from_spec(spec)
    # Data classes look their module up.
    sys.modules["sd_schedulers"] = module
    spec.loader.exec_module(module)
    cases = []
    top, bottom = float(standard.sigma_max), float(standard.sigma_min)
    for n in (1, 2, 3, 7, 11, 20, 30):
        common = {"sigma_min": bottom, "sigma_max": top, "device": "cpu"}
        found = {
            "sgm_uniform": module.sgm_uniform(n, **common, inner_model=standard),
            "beta": module.beta_scheduler(n, **common, inner_model=standard),
        }
        if n > 1:
            found["ays"] = module.get_align_your_steps_sigmas(n, **common)
        for name, values in found.items():
            cases.append({"scheduler": name, "steps": n, "options": {}, "sigmas": as_list(values)})
    return cases


def a1111_cases(path):
    spec = importlib.util.spec_from_file_location("sd_samplers_extra", f"{path}/modules/sd_samplers_extra.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    functions = {"restart": (module.restart_sampler, [{}, {"sNoise": 1.1}], None)}
    # It takes the last level for 0.
    return run_cases(functions, lambda name, sigmas: sigmas[-1] > 0 and len(sigmas) > 20)


def a1111_timestep_cases(path):
    """PLMS and DDIM, which work with noise predictions at whole timesteps and end at the timestep 1."""
    stub("modules.models.diffusion.uni_pc", uni_pc=types.SimpleNamespace(UniPC=object))
    stub("modules.torch_utils", float64=lambda x: torch.float64)
    spec = importlib.util.spec_from_file_location("timesteps_impl", f"{path}/modules/sd_samplers_timesteps_impl.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def model(x, timestep):
        sigma = standard.sigmas[int(timestep)]
        exploding = x * (1 + sigma**2) ** 0.5
        return (exploding - denoise(exploding, sigma.reshape(1))) / sigma

    model.inner_model = types.SimpleNamespace(inner_model=types.SimpleNamespace(alphas_cumprod=1 / (1 + standard.sigmas**2)))
    cases = []
    for steps in (3, 7, 20):
        timesteps = (torch.tensor(range(0, 1000, 1000 // steps)) + 1).clip(0, 999)
        levels = standard.sigmas[timesteps].flip(0)
        for name, options in (("plms", {}), ("ddim", {"eta": 0.0}), ("ddim", {"eta": 0.5})):
            module.k_diffusion.sampling.torch.randn_like = lambda x, draws=Draws(): draws()
            x = getattr(module, name)(model, START * levels[0] / (1 + levels[0] ** 2) ** 0.5, timesteps, disable=True, **options)
            x = x * (1 + levels[-1] ** 2) ** 0.5
            cases.append({"sampler": name, "levels": as_list(levels), "options": options, "x": x.flatten().tolist()})
    return cases


def diffusers_cases():
    """All steps but the last, which ends at the lowest level of the training there, at 0 here."""
    cases = []
    settings = {TCDScheduler: ("tcd", (0.0, 0.3, 0.75, 1.0)), DDIMScheduler: ("ddim", (0.0, 0.5, 1.0)), DDPMScheduler: ("ddpm", (None,))}
    for scheduler, (name, etas) in settings.items():
        module = sys.modules[scheduler.__module__]
        for steps in (2, 3, 7, 20):
            for eta in etas:
                extra = {} if name == "tcd" else {"timestep_spacing": "leading"}
                made = scheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, **extra)
                made.alphas_cumprod = 1 / (1 + standard.sigmas**2)
                made.set_timesteps(steps)
                module.randn_tensor = lambda *_, draws=Draws(), **__: draws()
                levels = [standard.sigmas[t] for t in made.timesteps]
                x = START * levels[0] / (1 + levels[0] ** 2) ** 0.5
                options = {} if eta is None else {"eta": eta}
                for level, t in zip(levels[:-1], made.timesteps):
                    exploding = x * (1 + level**2) ** 0.5
                    epsilon = (exploding - denoise(exploding, level.reshape(1))) / level
                    x = made.step(epsilon, t, x, **options).prev_sample
                x = x * (1 + levels[-1] ** 2) ** 0.5
                cases.append({"sampler": name, "levels": as_list(levels), "options": options, "x": x[0].tolist()})
    return cases


def write_samplers(name, cases):
    write(name, {"start": START[0].tolist(), "noise": DRAWS[:, 0].tolist(), "sigmas": [as_list(values) for values in LISTS], "cases": cases})


write_table()
write_schedules()
write_samplers("samplers", k_diffusion_cases())
write("samplers-diffusers", diffusers_cases())
if len(sys.argv) == 3:
    comfyui, a1111 = sys.argv[1:]
    write("schedules-ui", comfyui_schedules(comfyui) + a1111_schedules(a1111))
    write("samplers-a1111", a1111_timestep_cases(a1111))
    write_samplers("samplers-ui", comfyui_cases(comfyui) + a1111_cases(a1111))
