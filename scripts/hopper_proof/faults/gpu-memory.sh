# Another program has 100 GiB of the GPU's memory, and the server is told to take nearly all of it.
python -c 'import time, torch
taken = torch.empty(100 << 30, dtype=torch.uint8, device="cuda")
time.sleep(90)' &
sleep 15
