"""Files and frameworks to Graph and back; one module each."""
