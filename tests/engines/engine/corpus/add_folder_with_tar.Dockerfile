FROM kl/base
ADD tars /t/
ADD plain.tar app.py /two/
