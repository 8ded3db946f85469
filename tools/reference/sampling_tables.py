"""Golden values of noise tables, schedules and samplers, from k-diffusion in double precision.

    pip install torch==2.8.0 diffusers==0.35.2 && pip install --no-deps k-diffusion==0.1.1.post1
    python tools/reference/sampling_tables.py        # writes test/golden/sampling/*.json
"""

import importlib.util
import json
import math
import sys
import types
from pathlib import Path

import torch
from diffusers import EulerDiscreteScheduler

torch.set_default_dtype(torch.float64)
OUT = Path(__file__).resolve().parents[2] / "test" / "golden" / "sampling"


def load_k_diffusion():
    """Its sampling, external and utils modules without the package's __init__, which pulls in training code.

    The stubs stand for packages that only samplers outside this file use.
    """
    package = types.ModuleType("k_diffusion")
    package.__path__ = list(importlib.util.find_spec("k_diffusion").submodule_search_locations)
    sys.modules["k_diffusion"] = package
    for name, attributes in {"scipy": ["integrate"], "torchdiffeq": ["odeint"], "torchsde": []}.items():
        stub = types.ModuleType(name)
        for attribute in attributes:
            setattr(stub, attribute, None)
        sys.modules[name] = stub
    from k_diffusion import external, sampling

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
        alphas_cumprod[-1] = 2**-24
    schedule = external.DiscreteSchedule(((1 - alphas_cumprod) / alphas_cumprod) ** 0.5, quantize=False)
    diffusers = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", rescale_betas_zero_snr=rescale_betas_zero_snr
    )
    theirs = ((1 - diffusers.alphas_cumprod.double()) / diffusers.alphas_cumprod.double()) ** 0.5
    # Single precision loses 1 − ᾱ at the low end and, when rescaled, ᾱ at the high end.
    assert torch.allclose(schedule.sigmas[1:-20], theirs[1:-20], rtol=2e-3), "noise table differs from Diffusers"
    assert math.isclose(schedule.sigmas[-1], theirs[-1], rel_tol=1e-4), "last noise level differs from Diffusers"
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


def write_schedules():
    cases = []
    for n in (1, 2, 3, 10, 25):
        cases += [{"scheduler": "normal", "steps": n, "options": {}, "sigmas": standard.get_sigmas(n).tolist()}]
        cases += [{"scheduler": "karras", "steps": n, "options": {}, "sigmas": karras(n).tolist()}]
        zero = zero_terminal.get_sigmas(n).tolist()
        cases += [{"scheduler": "normal", "steps": n, "options": {"zeroTerminalSnr": True}, "sigmas": zero}]
    for options in ({"rho": 3.0}, {"sigmaMin": 0.1, "sigmaMax": 10.0}, {"sigmaMin": 0.002, "sigmaMax": 80.0, "rho": 5.5}):
        names = {"sigmaMin": "sigma_min", "sigmaMax": "sigma_max", "rho": "rho"}
        values = karras(10, **{names[key]: value for key, value in options.items()})
        cases += [{"scheduler": "karras", "steps": 10, "options": options, "sigmas": values.tolist()}]
    write("schedules", cases)


SIZE = 3


def denoise(x, sigma):
    """A smooth nonlinear stand-in for the network, [1, SIZE]; the test has the same formula."""
    i = torch.arange(SIZE)
    return x / (1 + sigma[:, None] ** 2) + torch.cos(0.7 * x / (1 + sigma[:, None] ** 2).sqrt() + 0.5 * i) / (1 + 0.2 * sigma[:, None])


def write_samplers():
    draws = torch.randn(25, 1, SIZE, generator=torch.Generator().manual_seed(7))
    start = torch.randn(1, SIZE, generator=torch.Generator().manual_seed(8))
    lists = []
    for n in (1, 2, 3, 10, 25):
        lists += [standard.get_sigmas(n), karras(n)]
    lists += [karras(10)[:-1], standard.get_sigmas(10)[:5], karras(25)[12:], karras(3)[:2]]
    zero = torch.zeros(1)
    lists += [torch.cat([torch.tensor([4.0, 3.9, 1.0, 0.9, 0.02]), zero]), torch.tensor([4.0, 3.9, 1.0, 0.9, 0.02])]
    noisy = [{}, {"eta": 0.0}, {"eta": 0.4}, {"sNoise": 0.9}, {"eta": 1.7, "sNoise": 1.1}]
    samplers = {"euler": [{}], "euler_a": noisy, "dpmpp_2m": [{}]}
    functions = {"euler": sampling.sample_euler, "euler_a": sampling.sample_euler_ancestral, "dpmpp_2m": sampling.sample_dpmpp_2m}
    cases = []
    for which, sigmas in enumerate(lists):
        for name, variants in samplers.items():
            for options in variants:
                extra = {{"eta": "eta", "sNoise": "s_noise"}[key]: value for key, value in options.items()}
                count = iter(range(len(draws)))
                if name == "euler_a":
                    extra["noise_sampler"] = lambda sigma, sigma_next: draws[next(count)]
                x = functions[name](denoise, start * sigmas[0], sigmas, disable=True, **extra)
                cases += [{"sampler": name, "sigmas": which, "options": options, "x": x[0].tolist()}]
    write(
        "samplers",
        {"start": start[0].tolist(), "noise": draws[:, 0].tolist(), "sigmas": [values.tolist() for values in lists], "cases": cases},
    )


write_table()
write_schedules()
write_samplers()
