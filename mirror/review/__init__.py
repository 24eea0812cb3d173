"""The reviewer's room: verify every byte, then see what is inside. Reads only; 3.9+, standard library."""
